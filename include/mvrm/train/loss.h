// SPDX-License-Identifier: Apache-2.0
// The one loss of the trainer: sum of weight * residual^2, over a divisor that is the same for every plan.
// Not here: what decides the weights (refine), nor how the dimensions are balanced (balance.h).
#pragma once
#include <mvrm/core/tensor.h>

namespace mvrm::train {

// B samples, K evaluation dimensions.
struct WeightedLoss {
  core::Tensor gradient_BK;   // d loss / d reward = 2 * weight * residual / divisor, in the reward's dtype and on its device
  core::Tensor row_BC;        // float64 [B, 1 + 2K] where the reward is, for the log: sum over k of weight * residual^2 (not divided);
                              // then residual^2 by dimension, unweighted; then 1 where there is a label
};
// loss = sum over b, k of weight_BK * (reward_BK - label_BK)^2 / divisor. A NaN label makes its cell count nothing, whatever its weight.
// `divisor`: samples in the global batch times K, never the sum of weights, which would cancel the reweighting (spec/influence.md 2).
// label_BK may have any float dtype, weight_BK is float64; residuals are float64. Needs no grad mode and records no graph.
WeightedLoss weighted_loss(const core::Tensor& reward_BK, const core::Tensor& label_BK, const core::Tensor& weight_BK, double divisor);

}  // namespace mvrm::train
