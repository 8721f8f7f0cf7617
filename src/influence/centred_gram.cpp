// SPDX-License-Identifier: Apache-2.0
// n labelled rows, D width, G dimensions, P penalties. In the eigenbasis of the Gram matrix every penalty is a division.
#include "centred_gram.h"

#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <algorithm>
#include <cmath>

namespace mvrm::influence {

namespace {

at::Tensor penalty_grid(const at::Tensor& eigenvalue_D) {
  const double scale = std::max(eigenvalue_D.mean().item<double>(), 1e-300);
  std::vector<double> grid;
  for (int quarter = -32; quarter <= 16; ++quarter) grid.push_back(scale * std::pow(10.0, quarter / 4.0));
  return at::tensor(at::ArrayRef<double>(grid), at::kDouble);
}

void accumulate(CentredGram& gram, const at::Tensor& feature_ND, const at::Tensor& label_NK) {
  const int64_t width = feature_ND.size(1), count = gram.rows.numel();
  const at::Tensor label_nG = label_NK.index_select(0, gram.rows).index_select(1, at::tensor(at::ArrayRef<int64_t>(gram.dimensions), at::kLong));
  gram.label_mean_G = label_nG.mean(0);
  gram.target_nG = label_nG - gram.label_mean_G;
  gram.mean_D = at::zeros({width}, at::kDouble);
  for_row_blocks(feature_ND, gram.rows, [&](int64_t, const at::Tensor& block) { gram.mean_D += block.sum(0); });
  gram.mean_D /= static_cast<double>(count);
  if (!gram.mean_D.isfinite().all().item<bool>()) throw core::Error("a feature of the profile is not finite", core::ExitStatus::numeric);
  gram.gram_DD = at::zeros({width, width}, at::kDouble);
  gram.moment_DG = at::zeros({width, label_nG.size(1)}, at::kDouble);
  for_row_blocks(feature_ND, gram.rows, [&](int64_t begin, const at::Tensor& block) {
    const at::Tensor centred = block - gram.mean_D;
    gram.gram_DD.addmm_(centred.t(), centred);
    gram.moment_DG.addmm_(centred.t(), gram.target_nG.narrow(0, begin, block.size(0)));
  });
}

}  // namespace

void for_row_blocks(const at::Tensor& feature_ND, const at::Tensor& rows, const std::function<void(int64_t, const at::Tensor&)>& use) {
  constexpr int64_t kBlock = 2048;
  for (int64_t begin = 0; begin < rows.numel(); begin += kBlock) {
    const at::Tensor part = rows.narrow(0, begin, std::min(kBlock, rows.numel() - begin));
    use(begin, feature_ND.index_select(0, part).to(at::kDouble));
  }
}

std::vector<CentredGram> centred_grams(const at::Tensor& feature_ND, const at::Tensor& label_NK) {
  core::check_shape(label_NK, {feature_ND.size(0), -1}, "label");
  std::vector<CentredGram> grams;
  const at::Tensor wide_NK = label_NK.to(at::kDouble);
  for (int64_t k = 0; k < wide_NK.size(1); ++k) {
    const at::Tensor rows = wide_NK.select(1, k).isfinite().nonzero().flatten();
    if (rows.numel() < 2) continue;
    const auto same = std::find_if(grams.begin(), grams.end(), [&](const CentredGram& gram) { return at::equal(gram.rows, rows); });
    if (same != grams.end()) {
      same->dimensions.push_back(k);
    } else {
      grams.push_back({.dimensions = {k}, .rows = rows, .mean_D = {}, .gram_DD = {}, .label_mean_G = {}, .target_nG = {}, .moment_DG = {}});
    }
  }
  for (auto& gram : grams) accumulate(gram, feature_ND, wide_NK);
  return grams;
}

Penalty best_penalty(const CentredGram& gram, const at::Tensor& feature_ND) {
  const auto [raw_D, basis_DD] = at::linalg_eigh(gram.gram_DD);
  const at::Tensor eigenvalue_D = raw_D.clamp_min(0), penalty_P = penalty_grid(eigenvalue_D);
  const at::Tensor inverse_DP = (eigenvalue_D.unsqueeze(1) + penalty_P.unsqueeze(0)).reciprocal();
  const int64_t penalties = penalty_P.numel(), dimensions = gram.target_nG.size(1), width = eigenvalue_D.numel();
  const at::Tensor weight_DPG = inverse_DP.unsqueeze(2) * basis_DD.t().mm(gram.moment_DG).unsqueeze(1);
  at::Tensor error_PG = at::zeros({penalties, dimensions}, at::kDouble), leverage_nP = at::empty({gram.rows.numel(), penalties}, at::kDouble);
  const double bias = 1.0 / static_cast<double>(gram.rows.numel());
  for_row_blocks(feature_ND, gram.rows, [&](int64_t begin, const at::Tensor& block) {
    const at::Tensor turned = (block - gram.mean_D).mm(basis_DD);
    const at::Tensor own_nP = turned.square().mm(inverse_DP) + bias;
    leverage_nP.narrow(0, begin, block.size(0)).copy_(own_nP);
    const at::Tensor reward_nPG = turned.mm(weight_DPG.reshape({width, -1})).view({-1, penalties, dimensions});
    const at::Tensor residual_nPG = reward_nPG - gram.target_nG.narrow(0, begin, block.size(0)).unsqueeze(1);
    error_PG += (residual_nPG / (1 - own_nP).clamp_min(1e-12).unsqueeze(2)).square().sum(0);
  });
  const at::Tensor spread_G = gram.target_nG.square().sum(0);
  const at::Tensor relative_P = (error_PG / spread_G.clamp_min(1e-300)).masked_fill(spread_G == 0, 0).sum(1);
  const double least = relative_P.min().item<double>();
  const at::Tensor good = (relative_P <= least * (1 + 1e-12)).nonzero().flatten();
  const int64_t best = good[-1].item<int64_t>();
  return {.lambda = penalty_P[best].item<double>(), .leverage_n = leverage_nP.select(1, best).contiguous()};
}

}  // namespace mvrm::influence
