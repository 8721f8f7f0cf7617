// SPDX-License-Identifier: Apache-2.0
// How many labels of each dimension to distrust, read off the residuals: Benjamini-Hochberg on two-sided p-values of robustly scaled
// residuals. About zero on clean data. And the paper's best alphas. Not here: trying alphas on a validation split (alpha_search.h).
#pragma once
#include <mvrm/core/tensor.h>
#include <cstdint>
#include <string>
#include <vector>

namespace mvrm::refine {

// (r - median) / (1.4826 * median absolute deviation) in each column, float64; half the residuals can be wrong without moving the scale.
// NaN stays NaN. A column whose scale is 0 (more than half its residuals are equal) gives 0.
core::Tensor robust_residual(const core::Tensor& residual_NK);

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

// Alpha in percent of the paper's Fig. 2 (spec/influence.md 3, row 7): visual quality .1, temporal consistency .5, dynamic degree .5,
// text-to-video alignment .1, factual consistency .5. Throws ConfigError for any other dimension.
std::vector<double> paper_best_alpha(const std::vector<std::string>& dimensions);

}  // namespace mvrm::refine
