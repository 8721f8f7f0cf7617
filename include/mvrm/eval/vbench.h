// SPDX-License-Identifier: Apache-2.0
// VBench after VideoScore's rule: for each prompt of an aspect, every pair of generating models, against what people preferred.
// An aspect is VBench's word for what its raters looked at; dimensions are those of the rewards.
#pragma once
#include <mvrm/eval/pairwise_accuracy.h>

namespace mvrm::eval {

struct VbenchOptions {
  // Count as the published script does: a dimension is right only where the mean is right too, so its numbers are lower bounds.
  bool videoscore_compatible = false;
  int64_t resamples = 1000;
  uint64_t seed = 42;
  int64_t threads = 1;
};
struct AspectAccuracy {
  std::string name;
  PairwiseResult result;  // pairs are ordered: two for each two videos, as the script counts
};
struct VbenchResult {
  std::vector<AspectAccuracy> aspects;
  int64_t pairs = 0, without_preference = 0;
  AccuracyInterval mean;                                      // over aspects
  std::vector<std::pair<std::string, double>> dimensions;     // mean over aspects
};
// Prediction ids are "<aspect>_<number>_<model>", or "<number>_<model>" in VBench's order of aspects. Preferences: rows {"id",
// "preference": {other model: 0, 0.5, 1 or null}}. Throws DataError with file, row and cause; prompts, where both files hold them, must
// be the same. `name` stands for the predictions in messages.
VbenchResult evaluate_vbench(const Predictions& predictions, const std::string& name, const std::filesystem::path& preferences,
                             const VbenchOptions& options = {});
std::string to_json_text(const VbenchResult& result);  // cli.md shape

}  // namespace mvrm::eval
