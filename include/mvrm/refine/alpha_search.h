// SPDX-License-Identifier: Apache-2.0
// Alpha chosen on a validation split, as the paper does (Fig. 2): every candidate is tried on all dimensions at once, and each dimension takes
// the one that is best for it. What "tried" means is the caller's: a full training run, or a linear head refitted on kept features.
#pragma once
#include <mvrm/influence/leverage.h>
#include <mvrm/refine/strategy.h>
#include <functional>
#include <vector>

namespace mvrm::refine {

inline constexpr double kPaperAlphas[] = {0.1, 0.5, 1.0, 2.0, 5.0};   // percent

// How good a model trained with the plan is on the validation split, one number a dimension, the higher the better; NaN = undefined.
using PlanMetric = std::function<std::vector<double>(const RefinementPlan&)>;
// The same for rewards [V,K] of the validation samples.
using RewardMetric = std::function<std::vector<double>(const core::Tensor& reward_VK)>;

struct AlphaChoice {
  std::vector<double> percent_K;     // the smallest among equally good ones; the first candidate where nothing is defined
  std::vector<double> candidates;
  core::Tensor metric_CK;            // float64, candidates by dimensions
};
// `config.alpha_percent_K` is replaced by each candidate in turn. Throws ConfigError for no candidates, or some that aren't rising.
AlphaChoice choose_alpha(const influence::Profile& profile, RefineConfig config, const std::vector<double>& candidates, const PlanMetric& metric);

// The proxy: the ridge head without the labels that the plan takes rates the validation features [V,D]. Seconds instead of a training run: `head`
// is fitted once, to influence::fit_table(profile), and keeps its penalty; labels are taken out of it exactly (influence::what_if).
// Throws DataError without features, and for a plan with weights other than 0 and 1.
PlanMetric ridge_proxy(const influence::Profile& profile, influence::RidgeHead head, const core::Tensor& validation_feature_VD, RewardMetric metric);
PlanMetric ridge_proxy(const influence::Profile& profile, const core::Tensor& validation_feature_VD, RewardMetric metric);   // fits the head

}  // namespace mvrm::refine
