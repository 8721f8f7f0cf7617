// SPDX-License-Identifier: Apache-2.0
// RMSNorm as the reference computes it: statistics and scaling in float32 (float64 for double), cast, THEN multiply by the weight.
#pragma once
#include <ATen/ATen.h>

namespace mvrm::model {

inline at::ScalarType statistics_dtype(const at::Tensor& x) { return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }

inline at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor wide = x.to(statistics_dtype(x));
  const at::Tensor inverse = wide.square().mean(-1, /*keepdim=*/true).add_(eps).rsqrt_();
  return weight * (wide * inverse).to(x.scalar_type());
}

}  // namespace mvrm::model
