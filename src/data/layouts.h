// SPDX-License-Identifier: Apache-2.0
// How a sample is written in each layout. A row that can't be held at all becomes nothing.
#pragma once
#include <mvrm/data/manifest.h>
#include <map>
#include <optional>

#include "manifest_rows.h"
#include "row_labels.h"

namespace mvrm::data {

using Losses = std::map<std::string, int64_t>;

// One sample with the row it was read from; media paths are already those to be written.
struct Written {
  const Row& row;
  const Sample& sample;
  const std::optional<RowLabels>& labels;
  std::string video;
  std::vector<std::string> images;
};

std::optional<Json> as_mvrm(const Written& from, Losses& losses);
std::optional<Json> as_videofeedback(const Written& from, Losses& losses);
std::optional<Json> as_videoscore_train(const Written& from, Losses& losses);

}  // namespace mvrm::data
