// SPDX-License-Identifier: Apache-2.0
// Spearman's rank correlation as SciPy computes it: average ranks for ties, NaN for a constant column, Student-t p-value.
#pragma once
#include <mvrm/eval/predictions.h>
#include <cstdint>
#include <string>
#include <vector>

namespace mvrm::eval {

std::vector<double> average_ranks(const std::vector<double>& values);
struct Correlation {
  double r = 0, p_value = 0;
};  // NaN, NaN when undefined
Correlation spearman(const std::vector<double>& a, const std::vector<double>& b);

struct DimensionResult {
  std::string name;
  double spearman, p_value, low, high;
  int64_t n;
};
struct EvalResult {
  std::vector<DimensionResult> dimensions;
  double mean = 0, mean_low = 0, mean_high = 0;  // mean over dimensions that are defined
  int64_t n = 0;
};
// Per dimension over rows with a label, 95 % percentile bootstrap intervals over samples (`resamples`, counter RNG seeded by `seed`).
EvalResult evaluate_spearman(const Predictions& predictions, int64_t resamples = 1000, uint64_t seed = 42);
std::string to_json_text(const EvalResult& result);  // cli.md shape

}  // namespace mvrm::eval
