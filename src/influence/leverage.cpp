// SPDX-License-Identifier: Apache-2.0
// N rows of training, n of them labelled, T rows to look at, M rows to change, D width, K dimensions, G dimensions of a group.
// The bias is not penalised, so centring decouples it: h^T A^-1 h = 1/n + c^T (C^T C + lambda I)^-1 c with c = h - mean.
#include <mvrm/influence/leverage.h>

#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <algorithm>
#include <cmath>
#include <limits>

#include "centred_gram.h"

namespace mvrm::influence {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

at::Tensor dimension_index(const RidgeGroup& group) { return at::tensor(at::ArrayRef<int64_t>(group.dimensions), at::kLong); }

// C^-1 (h - mean), [D, rows]: its squared column norms are leverages, its products the kernel.
at::Tensor whitened(const RidgeGroup& group, const at::Tensor& feature_TD) {
  const at::Tensor centred_DT = (feature_TD.to(at::kDouble) - group.mean_D).t();
  return at::linalg_solve_triangular(group.factor_DD, centred_DT, /*upper=*/false);
}

}  // namespace

int64_t RidgeGroup::place_of(int64_t dimension) const {
  const auto found = std::find(dimensions.begin(), dimensions.end(), dimension);
  return found == dimensions.end() ? -1 : found - dimensions.begin();
}

const RidgeGroup* RidgeHead::group_of(int64_t dimension) const {
  for (const auto& group : groups) {
    if (group.place_of(dimension) >= 0) return &group;
  }
  return nullptr;
}

RidgeHead fit_ridge(const at::Tensor& feature_ND, const at::Tensor& label_NK, const RidgeOptions& options) {
  if (options.lambda && !(*options.lambda > 0 && std::isfinite(*options.lambda))) throw core::ConfigError("lambda must be > 0");
  RidgeHead head{.dimensions = label_NK.size(1), .groups = {}};
  for (auto& gram : centred_grams(feature_ND, label_NK)) {
    RidgeGroup group{.dimensions = gram.dimensions, .rows = gram.rows, .mean_D = gram.mean_D, .factor_DD = {}, .weight_DG = {},
                     .label_mean_G = gram.label_mean_G, .lambda = options.lambda ? *options.lambda : best_penalty(gram, feature_ND)};
    gram.gram_DD.diagonal().add_(group.lambda);
    group.factor_DD = at::linalg_cholesky(gram.gram_DD);
    group.weight_DG = at::cholesky_solve(gram.moment_DG, group.factor_DD);
    head.groups.push_back(std::move(group));
  }
  return head;
}

at::Tensor predict(const RidgeHead& head, const at::Tensor& feature_TD) {
  at::Tensor reward_TK = at::full({feature_TD.size(0), head.dimensions}, kNan, at::kDouble);
  for_row_blocks(feature_TD, at::arange(feature_TD.size(0), at::kLong), [&](int64_t begin, const at::Tensor& block) {
    for (const auto& group : head.groups) {
      const at::Tensor reward_bG = (block - group.mean_D).mm(group.weight_DG) + group.label_mean_G;
      reward_TK.narrow(0, begin, block.size(0)).index_copy_(1, dimension_index(group), reward_bG);
    }
  });
  return reward_TK;
}

at::Tensor kernel(const RidgeGroup& group, const at::Tensor& feature_TD, const at::Tensor& feature_MD) {
  // Solved for the few rows M; the many rows T are streamed.
  const at::Tensor solved_DM = at::cholesky_solve((feature_MD.to(at::kDouble) - group.mean_D).t().contiguous(), group.factor_DD);
  at::Tensor kernel_TM = at::empty({feature_TD.size(0), feature_MD.size(0)}, at::kDouble);
  for_row_blocks(feature_TD, at::arange(feature_TD.size(0), at::kLong), [&](int64_t begin, const at::Tensor& block) {
    kernel_TM.narrow(0, begin, block.size(0)).copy_((block - group.mean_D).mm(solved_DM) + 1.0 / static_cast<double>(group.count()));
  });
  return kernel_TM;
}

RidgeDiagnostics diagnostics(const RidgeHead& head, const at::Tensor& feature_ND, const at::Tensor& label_NK) {
  const auto empty = [&] { return at::full({label_NK.size(0), label_NK.size(1)}, kNan, at::kDouble); };
  RidgeDiagnostics d{empty(), empty(), empty(), empty(), empty(), empty()};
  for (const auto& group : head.groups) {
    at::Tensor leverage_n = at::empty({group.count()}, at::kDouble), reward_nG = at::empty({group.count(), group.weight_DG.size(1)}, at::kDouble);
    for_row_blocks(feature_ND, group.rows, [&](int64_t begin, const at::Tensor& block) {
      leverage_n.narrow(0, begin, block.size(0)).copy_(whitened(group, block).square().sum(0) + 1.0 / static_cast<double>(group.count()));
      reward_nG.narrow(0, begin, block.size(0)).copy_((block - group.mean_D).mm(group.weight_DG) + group.label_mean_G);
    });
    const double parameters = leverage_n.sum().item<double>(), freedom = static_cast<double>(group.count()) - parameters;
    for (size_t g = 0; g < group.dimensions.size(); ++g) {
      const int64_t k = group.dimensions[g];
      const at::Tensor residual_n = reward_nG.select(1, static_cast<int64_t>(g)) - label_NK.select(1, k).index_select(0, group.rows).to(at::kDouble);
      const at::Tensor rest_n = 1 - leverage_n, variance = residual_n.square().sum() / (freedom > 0 ? freedom : kNan);
      const at::Tensor influence_n = residual_n.square() * leverage_n;
      const auto put = [&](at::Tensor& table_NK, const at::Tensor& column_n) { table_NK.select(1, k).index_copy_(0, group.rows, column_n); };
      const at::Tensor untouched_n = residual_n == 0;
      put(d.residual_NK, residual_n);
      put(d.leverage_NK, leverage_n);
      put(d.loo_residual_NK, residual_n / rest_n);
      put(d.self_influence_NK, influence_n);
      put(d.cook_NK, (influence_n / (rest_n.square() * parameters * variance)).masked_fill(untouched_n, 0));
      put(d.studentised_NK, (residual_n / (variance * rest_n).sqrt()).masked_fill(untouched_n, 0));
    }
  }
  return d;
}

at::Tensor leave_one_out_effect(const RidgeHead& head, int64_t dimension, const at::Tensor& feature_ND, const at::Tensor& label_NK,
                                const at::Tensor& feature_TD) {
  at::Tensor effect_TN = at::full({feature_TD.size(0), feature_ND.size(0)}, kNan, at::kDouble);
  const RidgeGroup* group = head.group_of(dimension);
  if (group == nullptr) return effect_TN;
  const at::Tensor target_DT = whitened(*group, feature_TD);
  const double bias = 1.0 / static_cast<double>(group->count());
  const at::Tensor label_n = label_NK.select(1, dimension).index_select(0, group->rows).to(at::kDouble);
  const at::Tensor weight_D = group->weight_DG.select(1, group->place_of(dimension));
  const at::Tensor mean = group->label_mean_G[group->place_of(dimension)];
  for_row_blocks(feature_ND, group->rows, [&](int64_t begin, const at::Tensor& block) {
    const at::Tensor white = whitened(*group, block);
    const at::Tensor residual = (block - group->mean_D).mv(weight_D) + mean - label_n.narrow(0, begin, block.size(0));
    const at::Tensor loo = residual / (1 - white.square().sum(0) - bias);
    effect_TN.index_copy_(1, group->rows.narrow(0, begin, block.size(0)), (target_DT.t().mm(white) + bias) * loo);
  });
  return effect_TN;
}

}  // namespace mvrm::influence
