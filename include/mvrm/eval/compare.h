// SPDX-License-Identifier: Apache-2.0
// Is model B better than model A on the same samples? A paired bootstrap: both are measured on the same resamples.
#pragma once
#include <mvrm/eval/pairwise_accuracy.h>

namespace mvrm::eval {

struct ComparedValue {
  std::string name;
  double a = 0, b = 0;
  double difference = 0, low = 0, high = 0;  // b - a with its 95 % percentile interval; NaN where undefined
  double p_value = 0;                        // two-sided: twice the share of resamples on the rarer side of 0, never below 2 / (resamples + 1)
  int64_t n = 0;                             // samples, or pairs
};
struct CompareResult {
  int64_t n = 0, only_in_a = 0, only_in_b = 0;  // samples (or pairs) of both, and those left out
  std::vector<ComparedValue> dimensions;        // those that both have
  ComparedValue mean;                           // Spearman: mean over dimensions; pairs: of the mean reward
};
struct CompareOptions {
  int64_t resamples = 10000;
  uint64_t seed = 42;
  int64_t threads = 1;
};
// Spearman, samples matched by id. Throws DataError when no id is in both, an id repeats, or two labels of a sample differ.
CompareResult compare_spearman(const Predictions& a, const Predictions& b, const CompareOptions& options = {});
// The same for two methods trained several times: every number is the mean over the runs, each of which is resampled; runs over the same
// samples are resampled together. Counts are those of the first run. Throws DataError, also when runs have different dimensions.
struct ComparedRun {
  const Predictions* a = nullptr;
  const Predictions* b = nullptr;
};
CompareResult compare_spearman(const std::vector<ComparedRun>& runs, const CompareOptions& options = {});
// Pairwise accuracy, pairs matched by number.
CompareResult compare_pairs(const PairTable& a, const PairTable& b, const CompareOptions& options = {});
std::string to_json_text(const CompareResult& result);

}  // namespace mvrm::eval
