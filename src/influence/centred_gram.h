// SPDX-License-Identifier: Apache-2.0
// The second moments of features around their mean, by groups of dimensions that have labels on the same rows. What the ridge head and the
// Bayesian head are computed from, streamed in blocks in float64. A free bias decouples from the weights once features are centred.
#pragma once
#include <mvrm/core/tensor.h>
#include <functional>
#include <vector>

namespace mvrm::influence {

// n labelled rows, D width, G dimensions of the group.
struct CentredGram {
  std::vector<int64_t> dimensions;
  core::Tensor rows;                      // int64 [n], ascending
  core::Tensor mean_D, gram_DD;           // of the features: mean, sum of (h - mean)(h - mean)^T
  core::Tensor label_mean_G, target_nG;   // labels minus their mean
  core::Tensor moment_DG;                 // sum of (h - mean) target
};
// Groups of dimensions with equal labelled rows, in the order of their first dimension; a dimension with fewer than two labels is in none.
// Throws Error (numeric) for a feature that is not finite.
std::vector<CentredGram> centred_grams(const core::Tensor& feature_ND, const core::Tensor& label_NK);

// Calls use(begin, block) with float64 blocks of the chosen rows; `begin` counts rows of the choice.
void for_row_blocks(const core::Tensor& feature_ND, const core::Tensor& rows,
                    const std::function<void(int64_t begin, const core::Tensor& block)>& use);

// The lambda on a grid of quarter decades that minimises the sum over dimensions of the exact leave-one-out error (PRESS) in units of each
// dimension's variance; the largest one among equals. One eigendecomposition serves all penalties, and gives the leverages at the best.
struct Penalty {
  double lambda = 0;
  core::Tensor leverage_n;
};
Penalty best_penalty(const CentredGram& gram, const core::Tensor& feature_ND);

}  // namespace mvrm::influence
