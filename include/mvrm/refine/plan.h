// SPDX-License-Identifier: Apache-2.0
// What a refinement strategy decides: one weight per sample and dimension. 0 = pruned, 1 = kept, between = weighted down.
// The trainer knows plans only, never strategies. Rows are keyed by sample id.
#pragma once
#include <mvrm/influence/profile.h>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace mvrm::refine {

struct RefinementPlan {
  std::vector<std::string> ids;
  std::vector<std::string> dimensions;
  std::vector<uint8_t> keep_N;  // 0: the sample is not trained on at all
  core::Tensor weight_NK;       // float32, >= 0
  core::Tensor label_NK;        // float32, NaN = the label of the data stays; undefined when no label is changed
  nlohmann::json header;        // strategy, parameters, profile hash
};
RefinementPlan keep_all(const std::vector<std::string>& ids, const std::vector<std::string>& dimensions);

// plan.jsonl of cli.md: a header object, then a row a sample. Throws DataError / Error (io).
void write_plan(const std::filesystem::path& path, const RefinementPlan& plan);
RefinementPlan read_plan(const std::filesystem::path& path);

}  // namespace mvrm::refine
