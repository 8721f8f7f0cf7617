// SPDX-License-Identifier: Apache-2.0
// Residuals of a reward that never saw the label it is compared with: leave-one-out residuals of the linear head, refitted by ridge regression
// on the features that the profile keeps. Without features the profile's own residuals stand in; their model has seen the labels.
#pragma once
#include <mvrm/influence/leverage.h>
#include <mvrm/influence/profile.h>
#include <optional>

namespace mvrm::refine {

class HeldOutHead {
 public:
  // Factorises once; the profile must outlive this.
  explicit HeldOutHead(const influence::Profile& profile);
  bool refits() const { return head_.has_value(); }
  // float64 [N,K] for these labels, which must have their NaN where the profile's labels have them. With features the head is fitted to these
  // labels (one product with the factor, no new factor); without, the profile's rewards stay as they are.
  core::Tensor residual(const core::Tensor& label_NK) const;
  // The same with a head that saw none of the distrusted labels (uint8 [N,K]): many errors bend the head that judges the others. One new
  // factor a dimension. Without features the profile's rewards stay as they are.
  core::Tensor residual_without(const core::Tensor& label_NK, const core::Tensor& distrusted_NK) const;

 private:
  const influence::Profile& profile_;
  std::optional<influence::RidgeHead> head_;
  core::Tensor feature_ND_, leverage_NK_;
};

}  // namespace mvrm::refine
