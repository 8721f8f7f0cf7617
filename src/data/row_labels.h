// SPDX-License-Identifier: Apache-2.0
// Where a row keeps its labels. Four spellings are read; all of them give names and values.
#pragma once
#include <optional>

#include "manifest_rows.h"

namespace mvrm::data {

struct RowLabels {
  Json values;                  // an object: dimension name -> value as written; null = none
  bool names_are_free = false;  // `labels` of mvrm and VideoScore: the row chooses the names, so an unknown one is an error
  bool any_scale = false;       // VideoScore-Bench's score_list: each benchmark has its own scale, -1 = none
};

// `labels`, else VideoFeedback's five columns, else VideoScore-Bench's score_list, else the answer in conversations[1] ("name: number"
// lines). nullopt = the row has none. Throws std::invalid_argument with the cause where they are malformed.
std::optional<RowLabels> labels_of(const Json& row);

}  // namespace mvrm::data
