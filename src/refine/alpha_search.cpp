// SPDX-License-Identifier: Apache-2.0
// N samples, K dimensions, V validation samples, D feature width, C candidates.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/influence/leverage.h>
#include <mvrm/refine/alpha_search.h>
#include <algorithm>
#include <functional>
#include <limits>

namespace mvrm::refine {

AlphaChoice choose_alpha(const influence::Profile& profile, RefineConfig config, const std::vector<double>& candidates, const PlanMetric& metric) {
  if (candidates.empty() || std::adjacent_find(candidates.begin(), candidates.end(), std::greater_equal<>()) != candidates.end()) {
    throw core::ConfigError("alpha search: needs candidates in rising order");
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

PlanMetric ridge_proxy(const influence::Profile& profile, const at::Tensor& validation_feature_VD, RewardMetric metric) {
  if (!profile.feature_ND.defined()) {
    throw core::DataError("alpha search: the profile keeps no features; make it with 'mvrm profile --features f32'");
  }
  const at::Tensor feature_ND = profile.feature_ND.nan_to_num(0);
  const at::Tensor label_NK = profile.label_NK.to(at::kDouble).masked_fill(profile.residual_NK.isnan(), std::numeric_limits<double>::quiet_NaN());
  const auto whole = influence::fit_ridge(feature_ND, label_NK);
  if (whole.groups.empty()) throw core::DataError("alpha search: no dimension has two labels");
  return [=, lambda = whole.groups.front().lambda](const RefinementPlan& plan) {
    const at::Tensor gone_NK = plan.weight_NK == 0;
    if (!gone_NK.logical_or(plan.weight_NK == 1).all().item<bool>()) {
      throw core::DataError("alpha search: the ridge head takes plans with weights 0 and 1 only");
    }
    const at::Tensor left_NK = label_NK.masked_fill(gone_NK, std::numeric_limits<double>::quiet_NaN());
    return metric(influence::predict(influence::fit_ridge(feature_ND, left_NK, {.lambda = lambda}), validation_feature_VD));
  };
}

}  // namespace mvrm::refine
