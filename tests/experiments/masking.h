// SPDX-License-Identifier: Apache-2.0
// Data and refitted heads of experiment A (spec/influence.md 4).
// N training samples, T test samples, K dimensions, D width.
#pragma once
#include <cmath>

#include "tests/experiments/experiment.h"

namespace mvrm::experiment {

inline constexpr int64_t kSamples = 2000, kWidth = 64, kDimensions = 5;
inline constexpr double kLambda = 1e-3;

struct Setting {
  at::Tensor feature_ND, label_NK, clean_label_NK, corrupted_NK, test_feature_TD, test_truth_TK;
};

inline at::Tensor draw_features(Draws& draws) {   // CV of the norm about 25 %
  return draws.normal({kSamples, kWidth}) * draws.normal({kSamples, 1}).mul(0.25).exp();
}

// Dimension 0 is eight times as loud, errors included. In each other dimension a strict annotator gave the lowest label to 4 % of the
// samples, all of them from the best third.
inline Setting draw_setting(uint64_t seed) {
  Draws draws(seed);
  const at::Tensor scale_K = at::tensor({8.0, 1.0, 1.0, 1.0, 1.0}, at::kDouble), noise_K = at::tensor({8.0, 0.25, 0.25, 0.25, 0.25}, at::kDouble);
  const at::Tensor weight_DK = draws.normal({kWidth, kDimensions}) / std::sqrt(static_cast<double>(kWidth)) * scale_K;
  Setting setting{.feature_ND = draw_features(draws), .label_NK = {}, .clean_label_NK = {}, .corrupted_NK = at::zeros({kSamples, kDimensions}, at::kByte),
                  .test_feature_TD = draw_features(draws), .test_truth_TK = {}};
  const at::Tensor truth_NK = setting.feature_ND.mm(weight_DK);
  setting.label_NK = truth_NK + noise_K * draws.normal({kSamples, kDimensions});
  setting.clean_label_NK = setting.label_NK.clone();
  setting.test_truth_TK = setting.test_feature_TD.mm(weight_DK);
  for (int64_t k = 1; k < kDimensions; ++k) {
    const at::Tensor best = truth_NK.select(1, k).argsort(0, /*descending=*/true).narrow(0, 0, kSamples / 3);
    const at::Tensor chosen = best.index_select(0, draws.permutation(best.size(0)).narrow(0, 0, kSamples * 4 / 100));
    setting.label_NK.select(1, k).index_fill_(0, chosen, setting.label_NK.select(1, k).min());
    setting.corrupted_NK.select(1, k).index_fill_(0, chosen, 1);
  }
  return setting;
}

// argmin of sum over n of w_nk (h_n w_k - y_nk)^2 + lambda |w_k|^2, exactly, [D,K].
inline at::Tensor weighted_ridge(const Setting& setting, const at::Tensor& weight_NK) {
  std::vector<at::Tensor> columns;
  for (int64_t k = 0; k < kDimensions; ++k) {
    const at::Tensor weighted_ND = setting.feature_ND * weight_NK.select(1, k).to(at::kDouble).unsqueeze(1);
    const at::Tensor hessian_DD = setting.feature_ND.t().mm(weighted_ND) + kLambda * at::eye(kWidth, at::kDouble);
    columns.push_back(at::linalg_solve(hessian_DD, weighted_ND.t().mv(setting.label_NK.select(1, k))));
  }
  return at::stack(columns, 1);
}

inline double spearman_of(const Setting& setting, const at::Tensor& weight_NK) {
  return mean_spearman(setting.test_feature_TD.mm(weighted_ridge(setting, weight_NK)), setting.test_truth_TK);
}

struct Baseline {
  influence::Profile profile;
  at::Tensor leverage_NK;
  double spearman = 0;
};
inline Baseline fit_baseline(const Setting& setting) {
  const at::Tensor all_NK = at::ones({kSamples, kDimensions}, at::kDouble), head_DK = weighted_ridge(setting, all_NK);
  const at::Tensor hessian_DD = setting.feature_ND.t().mm(setting.feature_ND) + kLambda * at::eye(kWidth, at::kDouble);
  const at::Tensor leverage_N = (setting.feature_ND * at::linalg_solve(hessian_DD, setting.feature_ND.t()).t()).sum(1);
  return {.profile = make_profile(setting.feature_ND.mm(head_DK), setting.label_NK, setting.feature_ND),
          .leverage_NK = leverage_N.unsqueeze(1).expand({kSamples, kDimensions}).contiguous(),
          .spearman = mean_spearman(setting.test_feature_TD.mm(head_DK), setting.test_truth_TK)};
}

}  // namespace mvrm::experiment
