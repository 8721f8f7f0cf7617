// SPDX-License-Identifier: Apache-2.0
// N samples, K dimensions, D feature width, n labelled rows and G dimensions of a group that shares them.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/influence/whatif.h>
#include <mvrm/refine/held_out.h>
#include <algorithm>
#include <limits>

namespace mvrm::refine {

namespace {

constexpr int64_t kBlock = 1024;   // rows

// Rows that were not computed have neither feature nor residual; their labels must not enter the fit.
at::Tensor usable_labels(const influence::Profile& profile, const at::Tensor& label_NK) {
  return label_NK.to(at::kDouble).masked_fill(profile.residual_NK.isnan(), std::numeric_limits<double>::quiet_NaN());
}

}  // namespace

HeldOutHead::HeldOutHead(const influence::Profile& profile) : profile_(profile) {
  if (!profile.feature_ND.defined()) return;
  feature_ND_ = influence::fit_table(profile).feature_ND;
  const at::Tensor label_NK = usable_labels(profile, profile.label_NK);
  head_ = influence::fit_ridge(feature_ND_, label_NK);
  leverage_NK_ = influence::diagnostics(*head_, feature_ND_, label_NK).leverage_NK;
}

at::Tensor HeldOutHead::residual(const at::Tensor& label_NK) const {
  const at::Tensor label = usable_labels(profile_, label_NK);
  if (!head_) return profile_.residual_NK.to(at::kDouble) + profile_.label_NK.to(at::kDouble) - label;
  influence::RidgeHead refitted = *head_;
  for (auto& group : refitted.groups) {
    const at::Tensor dimension_G = at::tensor(at::ArrayRef<int64_t>(group.dimensions), at::kLong);
    const at::Tensor label_nG = label.index_select(0, group.rows).index_select(1, dimension_G);
    group.label_mean_G = label_nG.mean(0);
    const at::Tensor target_nG = label_nG - group.label_mean_G;
    at::Tensor product_DG = at::zeros({feature_ND_.size(1), target_nG.size(1)}, at::kDouble);
    for (int64_t begin = 0; begin < group.count(); begin += kBlock) {   // the features in float64 would be as large again, twice
      const int64_t rows = std::min(kBlock, group.count() - begin);
      const at::Tensor centred_BD = feature_ND_.index_select(0, group.rows.narrow(0, begin, rows)).to(at::kDouble) - group.mean_D;
      product_DG.addmm_(centred_BD.t(), target_nG.narrow(0, begin, rows));
    }
    group.weight_DG = at::cholesky_solve(product_DG, group.factor_DD);
  }
  return (influence::predict(refitted, feature_ND_) - label) / (1 - leverage_NK_);
}

at::Tensor HeldOutHead::residual_without(const at::Tensor& label_NK, const at::Tensor& distrusted_NK) const {
  const at::Tensor label = usable_labels(profile_, label_NK);
  if (!head_) return residual(label_NK);
  at::Tensor residual_NK = at::full_like(label, std::numeric_limits<double>::quiet_NaN());
  for (const auto& group : head_->groups) {
    for (const int64_t k : group.dimensions) {
      const at::Tensor own_N1 = label.narrow(1, k, 1), distrusted_N1 = distrusted_NK.narrow(1, k, 1).to(at::kBool);
      const at::Tensor trusted_N1 = own_N1.masked_fill(distrusted_N1, std::numeric_limits<double>::quiet_NaN());
      const auto head = influence::fit_ridge(feature_ND_, trusted_N1, {.lambda = group.lambda});
      const at::Tensor outside_N1 = influence::predict(head, feature_ND_) - own_N1;
      const at::Tensor inside_N1 = influence::diagnostics(head, feature_ND_, trusted_N1).loo_residual_NK;
      residual_NK.narrow(1, k, 1).copy_(at::where(distrusted_N1, outside_N1, inside_N1));
    }
  }
  return residual_NK;
}

}  // namespace mvrm::refine
