// SPDX-License-Identifier: Apache-2.0
// B samples, K evaluation dimensions, C = 1 + 2K columns of the log.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <mvrm/core/error.h>
#include <mvrm/train/loss.h>

namespace mvrm::train {

WeightedLoss weighted_loss(const core::Tensor& reward_BK, const core::Tensor& label_BK, const core::Tensor& weight_BK, double divisor) {
  MVRM_CHECK(divisor > 0, "a divisor of ", divisor);
  const at::NoGradGuard no_grad;
  const at::Tensor labels_BK = label_BK.to(reward_BK.device());
  const at::Tensor unlabelled_BK = labels_BK.isnan();
  // Cells without a label must not carry their NaN along.
  const at::Tensor residual_BK = (reward_BK.to(at::kDouble) - labels_BK).masked_fill_(unlabelled_BK, 0);
  const at::Tensor weighted_BK = residual_BK * weight_BK.to(reward_BK.device());
  const at::Tensor loss_B1 = (weighted_BK * residual_BK).sum(1, /*keepdim=*/true);
  return {.gradient_BK = (weighted_BK * (2.0 / divisor)).to(reward_BK.scalar_type()),
          .row_BC = at::cat({loss_B1, residual_BK.square(), unlabelled_BK.logical_not().to(at::kDouble)}, 1)};
}

}  // namespace mvrm::train
