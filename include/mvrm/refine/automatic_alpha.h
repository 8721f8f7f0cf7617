// SPDX-License-Identifier: Apache-2.0
// How many labels of each dimension to distrust, read off the residuals: Benjamini-Hochberg on two-sided p-values of robustly scaled
// residuals. About zero on clean data. And the paper's best alphas. Not here: trying alphas on a validation split (alpha_search.h).
#pragma once
#include <mvrm/core/tensor.h>
#include <mvrm/influence/profile.h>
#include <cstdint>
#include <string>
#include <vector>

namespace mvrm::refine {

// Median and 1.4826 * median absolute deviation of each column, float64 [K]; NaN left out. Half the residuals can be wrong without moving
// them far. 0 and 0 for a column of NaN.
struct RobustScale {
  core::Tensor median_K, deviation_K;
};
RobustScale robust_scale(const core::Tensor& residual_NK);
// (r - median) / deviation in each column, float64. NaN stays NaN. A deviation of 0 (more than half the residuals are equal) gives 0.
core::Tensor robust_residual(const core::Tensor& residual_NK, const RobustScale& scale);
core::Tensor robust_residual(const core::Tensor& residual_NK);   // by its own scale

// Step-up procedure: 1 for the hypotheses rejected at false discovery rate q, that is for the p-values up to the largest p_(i) <= q i / n.
// NaN is never rejected and not counted in n.
std::vector<uint8_t> benjamini_hochberg(const std::vector<double>& p, double q);

struct AutomaticAlpha {
  std::vector<double> percent_K;  // 100 * rejected / labelled; 0 where nothing stands out
  core::Tensor rejected_NK;       // uint8
};
// `residual_NK`: of a reward that never saw its label where there is one (leave-one-out), else the profile's. Throws ConfigError unless
// 0 < q < 1.
AutomaticAlpha automatic_alpha(const core::Tensor& residual_NK, double q);
// The same from held-out residuals (held_out.h), in two steps where the profile keeps features: what the first step rejects is left out of the
// head that the second one judges with.
AutomaticAlpha automatic_alpha(const influence::Profile& profile, double q);

// Alpha in percent of the paper's Fig. 2 (spec/influence.md 3, row 7): visual quality .1, temporal consistency .5, dynamic degree .5,
// text-to-video alignment .1, factual consistency .5. Throws ConfigError for any other dimension.
std::vector<double> paper_best_alpha(const std::vector<std::string>& dimensions);

}  // namespace mvrm::refine
