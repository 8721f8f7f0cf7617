// SPDX-License-Identifier: Apache-2.0
// n labelled rows, T rows to look at, D width, K dimensions, G dimensions of a group.
#include <mvrm/influence/bayes_head.h>

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <limits>

#include "centred_gram.h"

namespace mvrm::influence {

namespace {

struct Variances {
  double noise = 0, prior = 0;
};

// MacKay: g = effective number of weights, s <- |w|^2 / g, sigma^2 <- RSS / (n - 1 - g). Everything is a sum over eigenvalues.
Variances mackay(const at::Tensor& eigenvalue_D, const at::Tensor& moment_D, double sum_of_squares, int64_t count) {
  constexpr int kSteps = 10000;
  const double floor = 1e-12 * std::max(sum_of_squares / static_cast<double>(count), 1e-300);
  Variances v{.noise = std::max(0.5 * sum_of_squares / static_cast<double>(count), floor), .prior = 0};
  v.prior = std::max(v.noise / std::max(eigenvalue_D.mean().item<double>() / static_cast<double>(count), 1e-300), floor);
  for (int step = 0; step < kSteps; ++step) {
    const double lambda = v.noise / v.prior;
    const at::Tensor weight_D = moment_D / (eigenvalue_D + lambda);
    const double used = (eigenvalue_D / (eigenvalue_D + lambda)).sum().item<double>();
    const double rss = sum_of_squares - 2 * weight_D.dot(moment_D).item<double>() + (eigenvalue_D * weight_D.square()).sum().item<double>();
    const double rest = static_cast<double>(count) - 1 - used;
    const Variances next{.noise = std::max(rest > 0 ? rss / rest : v.noise, floor),
                         .prior = used > 0 ? std::max(weight_D.square().sum().item<double>() / used, floor * 1e-12) : v.prior};
    const double moved = std::max(std::abs(std::log(next.noise / v.noise)), std::abs(std::log(next.prior / v.prior)));
    v = next;
    if (moved < 1e-12) break;
  }
  return v;
}

}  // namespace

BayesHead fit_bayes(const at::Tensor& feature_ND, const at::Tensor& label_NK) {
  BayesHead head{.dimensions = label_NK.size(1), .groups = {}};
  for (const auto& gram : centred_grams(feature_ND, label_NK)) {
    if (gram.rows.numel() < 3) continue;
    const auto [raw_D, basis_DD] = at::linalg_eigh(gram.gram_DD);
    BayesGroup group{.dimensions = gram.dimensions, .count = gram.rows.numel(), .mean_D = gram.mean_D, .basis_DD = basis_DD,
                     .eigenvalue_D = raw_D.clamp_min(0), .noise_variance_G = {}, .prior_variance_G = {}, .weight_DG = {},
                     .label_mean_G = gram.label_mean_G};
    const at::Tensor moment_DG = basis_DD.t().mm(gram.moment_DG);
    group.noise_variance_G = at::empty({moment_DG.size(1)}, at::kDouble);
    group.prior_variance_G = at::empty_like(group.noise_variance_G);
    for (int64_t g = 0; g < moment_DG.size(1); ++g) {
      const Variances v = mackay(group.eigenvalue_D, moment_DG.select(1, g), gram.target_nG.select(1, g).square().sum().item<double>(), group.count);
      group.noise_variance_G[g] = v.noise;
      group.prior_variance_G[g] = v.prior;
    }
    const at::Tensor lambda_G = group.noise_variance_G / group.prior_variance_G;
    group.weight_DG = basis_DD.mm(moment_DG / (group.eigenvalue_D.unsqueeze(1) + lambda_G));
    head.groups.push_back(std::move(group));
  }
  return head;
}

at::Tensor predictive_variance(const BayesHead& head, const at::Tensor& feature_TD) {
  at::Tensor variance_TK = at::full({feature_TD.size(0), head.dimensions}, std::numeric_limits<double>::quiet_NaN(), at::kDouble);
  const at::Tensor all_rows = at::arange(feature_TD.size(0), at::kLong);
  for (const auto& group : head.groups) {
    const at::Tensor inverse_DG = (group.eigenvalue_D.unsqueeze(1) + group.noise_variance_G / group.prior_variance_G).reciprocal();
    const at::Tensor columns = at::tensor(at::ArrayRef<int64_t>(group.dimensions), at::kLong);
    for_row_blocks(feature_TD, all_rows, [&](int64_t begin, const at::Tensor& block) {
      const at::Tensor spread_bG = (block - group.mean_D).mm(group.basis_DD).square().mm(inverse_DG);
      const at::Tensor variance_bG = group.noise_variance_G * (1 + 1.0 / static_cast<double>(group.count) + spread_bG);
      variance_TK.narrow(0, begin, block.size(0)).index_copy_(1, columns, variance_bG);
    });
  }
  return variance_TK;
}

}  // namespace mvrm::influence
