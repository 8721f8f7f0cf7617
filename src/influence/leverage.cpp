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

at::Tensor leverages(const RidgeGroup& group, const at::Tensor& feature_ND) {
  at::Tensor leverage_n = at::empty({group.count()}, at::kDouble);
  for_row_blocks(feature_ND, group.rows, [&](int64_t begin, const at::Tensor& block) {
    leverage_n.narrow(0, begin, block.size(0)).copy_(whitened(group, block).square().sum(0) + 1.0 / static_cast<double>(group.count()));
  });
  return leverage_n;
}

// For features that are not centred.
at::Tensor bias_of(const RidgeGroup& group) { return group.label_mean_G - group.mean_D.unsqueeze(0).mm(group.weight_DG).squeeze(0); }

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
                     .label_mean_G = gram.label_mean_G, .leverage_n = {}, .lambda = options.lambda.value_or(0)};
    if (!options.lambda) {
      auto penalty = best_penalty(gram, feature_ND);
      group.lambda = penalty.lambda;
      group.leverage_n = std::move(penalty.leverage_n);
    }
    gram.gram_DD.diagonal().add_(group.lambda);
    // In one memory order, so that a head from its file gives the same bits as the head that was written.
    group.factor_DD = at::linalg_cholesky(gram.gram_DD).contiguous();
    group.weight_DG = at::cholesky_solve(gram.moment_DG, group.factor_DD).contiguous();
    if (options.leverage && !group.leverage_n.defined()) group.leverage_n = leverages(group, feature_ND);
    head.groups.push_back(std::move(group));
  }
  return head;
}

at::Tensor linear_rewards(const at::Tensor& feature_TD, const at::Tensor& weight_DJ, const at::Tensor& bias_J) {
  // Blocks that stay in the cache between the conversion to float64 and the product.
  constexpr int64_t kBlockBytes = 2 << 20;
  const int64_t rows = feature_TD.size(0), width = feature_TD.size(1);
  const int64_t most = std::clamp<int64_t>(kBlockBytes / (8 * std::max<int64_t>(1, width)), 16, 4096);
  at::Tensor reward_TJ = at::empty({rows, weight_DJ.size(1)}, at::kDouble), buffer = at::empty({std::min(most, rows), width}, at::kDouble);
  for (int64_t begin = 0; begin < rows; begin += most) {
    const int64_t count = std::min(most, rows - begin);
    at::Tensor block = buffer.narrow(0, 0, count), reward = reward_TJ.narrow(0, begin, count);
    block.copy_(feature_TD.narrow(0, begin, count));
    at::addmm_out(reward, bias_J, block, weight_DJ);
  }
  return reward_TJ;
}

LinearHead linear_head(const RidgeHead& head, int64_t width) {
  LinearHead linear{.weight_DK = at::full({width, head.dimensions}, kNan, at::kDouble), .bias_K = at::full({head.dimensions}, kNan, at::kDouble)};
  for (const auto& group : head.groups) {
    linear.weight_DK.index_copy_(1, dimension_index(group), group.weight_DG);
    linear.bias_K.index_copy_(0, dimension_index(group), bias_of(group));
  }
  return linear;
}

at::Tensor predict(const RidgeHead& head, const at::Tensor& feature_TD) {
  const LinearHead linear = linear_head(head, feature_TD.size(1));
  return linear_rewards(feature_TD, linear.weight_DK, linear.bias_K);
}

at::Tensor solved(const RidgeGroup& group, const at::Tensor& feature_MD) {
  return at::linalg_solve_triangular(group.factor_DD.t(), whitened(group, feature_MD), /*upper=*/true);
}

at::Tensor kernel(const RidgeGroup& group, const at::Tensor& feature_TD, const at::Tensor& feature_MD) {
  // Solved for the few rows M; the many rows T are streamed.
  const at::Tensor solved_DM = solved(group, feature_MD);
  return linear_rewards(feature_TD, solved_DM, 1.0 / static_cast<double>(group.count()) - group.mean_D.unsqueeze(0).mm(solved_DM).squeeze(0));
}

RidgeDiagnostics diagnostics(const RidgeHead& head, const at::Tensor& feature_ND, const at::Tensor& label_NK) {
  const auto empty = [&] { return at::full({label_NK.size(0), label_NK.size(1)}, kNan, at::kDouble); };
  RidgeDiagnostics d{empty(), empty(), empty(), empty(), empty(), empty()};
  for (const auto& group : head.groups) {
    const at::Tensor leverage_n = group.leverage_n.defined() ? group.leverage_n : leverages(group, feature_ND);
    const at::Tensor reward_nG = linear_rewards(feature_ND, group.weight_DG, bias_of(group)).index_select(0, group.rows);
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

std::vector<at::Tensor> leave_one_out_effects(const RidgeHead& head, const at::Tensor& feature_ND, const at::Tensor& label_NK,
                                              const at::Tensor& feature_TD) {
  std::vector<at::Tensor> effect_KTN;
  for (int64_t k = 0; k < head.dimensions; ++k) effect_KTN.push_back(at::full({feature_TD.size(0), feature_ND.size(0)}, kNan, at::kDouble));
  for (const auto& group : head.groups) {
    const at::Tensor leverage_n = group.leverage_n.defined() ? group.leverage_n : leverages(group, feature_ND);
    const at::Tensor solved_DT = solved(group, feature_TD);
    const at::Tensor shift_T = 1.0 / static_cast<double>(group.count()) - group.mean_D.unsqueeze(0).mm(solved_DT).squeeze(0);
    const auto dimensions = static_cast<int64_t>(group.dimensions.size());
    const at::Tensor all = linear_rewards(feature_ND, at::cat({group.weight_DG, solved_DT}, 1), at::cat({bias_of(group), shift_T})).index_select(0, group.rows);
    for (int64_t g = 0; g < dimensions; ++g) {
      const int64_t k = group.dimensions[static_cast<size_t>(g)];
      const at::Tensor residual_n = all.select(1, g) - label_NK.select(1, k).index_select(0, group.rows).to(at::kDouble);
      const at::Tensor loo_n1 = (residual_n / (1 - leverage_n)).unsqueeze(1);
      effect_KTN[static_cast<size_t>(k)].index_copy_(1, group.rows, (all.slice(1, dimensions) * loo_n1).t());
    }
  }
  return effect_KTN;
}

}  // namespace mvrm::influence
