// SPDX-License-Identifier: Apache-2.0
// Correlation of rewards with labels as SciPy computes it, in O(n log n) or better, and the evaluation of a whole table of predictions.
// Everything is double precision; ranks are exact.
#pragma once
#include <mvrm/eval/predictions.h>
#include <cstdint>
#include <string>
#include <vector>

namespace mvrm::eval {

std::vector<double> average_ranks(const std::vector<double>& values);  // no NaN among them

// Coefficient and two-sided p-value; NaN, NaN when undefined: a constant column, a NaN, fewer than two values.
struct Correlation {
  double r = 0, p_value = 0;
};
Correlation spearman(const std::vector<double>& a, const std::vector<double>& b);  // average ranks; p by Student's t
Correlation pearson(const std::vector<double>& a, const std::vector<double>& b);   // p by Student's t
Correlation kendall(const std::vector<double>& a, const std::vector<double>& b);   // tau-b; p exact for few values without ties, else normal

struct DimensionResult {
  std::string name;
  double spearman = 0, p_value = 0, low = 0, high = 0;  // the 95 % interval of the Spearman correlation
  int64_t n = 0;                                        // rows with a label and a finite reward
  Correlation pearson, kendall;
  std::string reason;                                   // why it is undefined; empty when it is not
};
struct EvalResult {
  std::vector<DimensionResult> dimensions;
  double mean = 0, mean_low = 0, mean_high = 0;  // mean over dimensions that are defined
  int64_t n = 0;
};
// Per dimension over rows with a label, 95 % percentile bootstrap intervals over samples (`resamples`, counter RNG seeded by `seed`).
// The result does not depend on `threads`.
EvalResult evaluate_spearman(const Predictions& predictions, int64_t resamples = 1000, uint64_t seed = 42, int64_t threads = 1);
std::string to_json_text(const EvalResult& result);  // cli.md shape

}  // namespace mvrm::eval
