// SPDX-License-Identifier: Apache-2.0
// The variational Bayesian last layer (VBLL) of regression on frozen features, in closed form: K independent heads whose posterior attains
// the log evidence, noise and prior variance by MacKay's updates, flat prior on the bias. Parameter space: the head.
// Its predictive variance holds no label of its own sample: it finds unusual clips, not wrong labels.
#pragma once
#include <mvrm/core/tensor.h>
#include <vector>

namespace mvrm::influence {

// Dimensions with labels on the same rows share an eigenbasis. D width, G dimensions of the group.
struct BayesGroup {
  std::vector<int64_t> dimensions;
  int64_t count = 0;                                                     // labelled rows
  core::Tensor mean_D, basis_DD, eigenvalue_D;                           // of the centred features
  core::Tensor noise_variance_G, prior_variance_G;                       // sigma^2; s of weights ~ N(0, s I)
  core::Tensor weight_DG, label_mean_G;                                  // posterior mean
};
struct BayesHead {
  int64_t dimensions = 0;
  std::vector<BayesGroup> groups;
};
// feature_ND any float dtype, label_NK with NaN = no label; a dimension with fewer than three labels is in no group.
BayesHead fit_bayes(const core::Tensor& feature_ND, const core::Tensor& label_NK);
// v = sigma^2 (1 + 1/n + c^T (C^T C + (sigma^2 / s) I)^-1 c), c = h - mean: float64 [T,K], NaN where there is no head.
core::Tensor predictive_variance(const BayesHead& head, const core::Tensor& feature_TD);

}  // namespace mvrm::influence
