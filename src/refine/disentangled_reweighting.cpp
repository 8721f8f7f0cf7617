// SPDX-License-Identifier: Apache-2.0
// Disentangled reweighting (spec/influence.md 2.9): a soft weight per label instead of a cut.
#include <ATen/ATen.h>
#include <mvrm/refine/risk.h>
#include <mvrm/refine/strategy.h>
#include <cmath>

namespace mvrm::refine {

at::Tensor z_scores(const at::Tensor& risk_NK) {
  const at::Tensor risk = risk_NK.to(at::kDouble).contiguous();
  const int64_t count = risk.size(0), dimensions = risk.size(1);
  const auto* s = risk.const_data_ptr<double>();
  at::Tensor z_NK = risk.clone();
  auto* z = z_NK.mutable_data_ptr<double>();
  for (int64_t k = 0; k < dimensions; ++k) {
    double mean = 0, squares = 0;
    int64_t seen = 0;
    for (int64_t n = 0; n < count; ++n) {  // Welford
      const double x = s[n * dimensions + k];
      if (!std::isfinite(x)) continue;
      const double delta = x - mean;
      mean += delta / static_cast<double>(++seen);
      squares += delta * (x - mean);
    }
    const double deviation = seen > 0 ? std::sqrt(squares / static_cast<double>(seen)) : 0;
    for (int64_t n = 0; n < count; ++n) {
      double& cell = z[n * dimensions + k];
      if (std::isfinite(cell)) cell = deviation > 0 ? (cell - mean) / deviation : 0;
    }
  }
  return z_NK;
}

at::Tensor disentangled_reweighting(const at::Tensor& self_influence_NK, double tau) {
  const at::Tensor z_NK = z_scores(self_influence_NK);
  // at::sigmoid is the stable form of 1/(1+exp(x)) on both sides. Unlabelled cells weigh 1 and stay out of the mean.
  at::Tensor weight_NK = at::sigmoid(-z_NK / tau);
  const at::Tensor labelled_NK = z_NK.isfinite();
  const double sum = weight_NK.masked_select(labelled_NK).sum().item<double>();
  if (sum > 0) weight_NK = weight_NK * (labelled_NK.sum().item<double>() / sum);
  return at::where(labelled_NK, weight_NK, at::ones_like(weight_NK));
}

}  // namespace mvrm::refine
