// SPDX-License-Identifier: Apache-2.0
// N samples, K dimensions, V validation samples, D feature width, C candidates.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/influence/whatif.h>
#include <mvrm/refine/alpha_search.h>
#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

namespace mvrm::refine {

AlphaChoice choose_alpha(const influence::Profile& profile, RefineConfig config, const std::vector<double>& candidates, const PlanMetric& metric) {
  if (candidates.empty() || std::adjacent_find(candidates.begin(), candidates.end(), std::greater_equal<>()) != candidates.end()) {
    throw core::ConfigError("alpha search: candidates must rise, as in 0.1 0.5 1 (--candidates)");
  }
  const auto dimensions = static_cast<int64_t>(profile.dimensions.size());
  AlphaChoice choice{.percent_K = std::vector<double>(profile.dimensions.size(), candidates.front()), .candidates = candidates,
                     .metric_CK = at::empty({static_cast<int64_t>(candidates.size()), dimensions}, at::kDouble)};
  std::vector<double> best(profile.dimensions.size(), -std::numeric_limits<double>::infinity());
  config.automatic_alpha = false;
  for (size_t c = 0; c < candidates.size(); ++c) {
    config.alpha_percent_K = {candidates[c]};
    const auto value_K = metric(refine(profile, config).first);
    MVRM_CHECK(value_K.size() == best.size(), value_K.size(), " numbers for ", best.size(), " dimensions");
    for (size_t k = 0; k < best.size(); ++k) {
      choice.metric_CK[static_cast<int64_t>(c)][static_cast<int64_t>(k)] = value_K[k];
      if (!(value_K[k] > best[k])) continue;
      best[k] = value_K[k];
      choice.percent_K[k] = candidates[c];
    }
  }
  return choice;
}

PlanMetric ridge_proxy(const influence::Profile& profile, influence::RidgeHead head, const at::Tensor& validation_feature_VD, RewardMetric metric) {
  const auto [feature_ND, label_NK] = influence::fit_table(profile);
  if (head.groups.empty()) throw core::DataError("alpha search: no dimension has two labels");
  core::check_shape(validation_feature_VD, {-1, feature_ND.size(1)}, "validation features");
  return [head = std::move(head), feature_ND = feature_ND, label_NK = label_NK, validation_feature_VD, metric = std::move(metric)](const RefinementPlan& plan) {
    const at::Tensor gone_NK = plan.weight_NK == 0;
    if (!gone_NK.logical_or(plan.weight_NK == 1).all().item<bool>()) {
      throw core::DataError("alpha search: the ridge head takes plans with weights 0 and 1 only");
    }
    // A dimension of which fewer than two labels would be left has no head: no number for this candidate.
    const at::Tensor given_NK = label_NK.isfinite(), headless_K = given_NK.logical_and(gone_NK.logical_not()).sum(0).lt(2);
    const auto judged = [&](const at::Tensor& reward_VK) { return metric(reward_VK.masked_fill(headless_K.unsqueeze(0), std::numeric_limits<double>::quiet_NaN())); };
    std::vector<influence::LabelChange> dropped;
    const at::Tensor cells_M2 = gone_NK.logical_and(given_NK).logical_and(headless_K.logical_not()).nonzero();
    const auto cells = cells_M2.accessor<int64_t, 2>();
    for (int64_t m = 0; m < cells.size(0); ++m) dropped.push_back({.row = cells[m][0], .dimension = cells[m][1], .label = std::nullopt});
    // Taking out more rows than there are features costs more than a new factor.
    if (cells.size(0) <= 2 * feature_ND.size(1) * head.dimensions) return judged(influence::what_if(head, feature_ND, label_NK, dropped, validation_feature_VD).after_TK);
    const at::Tensor left_NK = label_NK.masked_fill(gone_NK, std::numeric_limits<float>::quiet_NaN());
    return judged(influence::predict(influence::fit_ridge(feature_ND, left_NK, {.lambda = head.groups.front().lambda}), validation_feature_VD));
  };
}

PlanMetric ridge_proxy(const influence::Profile& profile, const at::Tensor& validation_feature_VD, RewardMetric metric) {
  const auto [feature_ND, label_NK] = influence::fit_table(profile);
  return ridge_proxy(profile, influence::fit_ridge(feature_ND, label_NK), validation_feature_VD, std::move(metric));
}

}  // namespace mvrm::refine
