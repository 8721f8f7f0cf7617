// SPDX-License-Identifier: Apache-2.0
// Fields of GenAI-Bench's rows.
#pragma once
#include <mvrm/eval/verdicts.h>

#include "row_file.h"

namespace mvrm::eval {

HumanVote vote_field(const Row& row, const std::string& where, const std::string& id);  // "human_vote" or "vote_type"
int64_t index_field(const Row& row, const std::string& where);                          // "idx"

}  // namespace mvrm::eval
