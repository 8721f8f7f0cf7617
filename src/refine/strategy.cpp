// SPDX-License-Identifier: Apache-2.0
// The whole family of strategies on one screen, and what refine() adds to each: checks, header, summary.
#include <mvrm/refine/strategy.h>

#include "cells.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <mvrm/core/error.h>

namespace mvrm::refine {

namespace {

RefinementPlan plan_none(const influence::Profile& profile, const RefineConfig&) { return keep_all(profile.ids, profile.dimensions); }

at::Tensor risky_cells(const influence::Profile& profile, const RefineConfig& config) {
  return top_cells(profile.self_influence_NK, alpha_of_dimensions(config, profile.dimensions.size()), profile.ids);
}
RefinementPlan plan_ddp(const influence::Profile& profile, const RefineConfig& config) {
  return prune_cells(profile, risky_cells(profile, config));
}
RefinementPlan plan_mask(const influence::Profile& profile, const RefineConfig& config) {
  return mask_cells(profile, risky_cells(profile, config));
}
RefinementPlan plan_ddr(const influence::Profile& profile, const RefineConfig& config) {
  RefinementPlan plan = keep_all(profile.ids, profile.dimensions);
  plan.weight_NK = disentangled_reweighting(profile.self_influence_NK, config.tau).to(at::kFloat);
  return plan;
}
// Statistics of the weights come from the samples that pruning keeps (spec/influence.md 3, row 18).
RefinementPlan plan_ddp_ddr(const influence::Profile& profile, const RefineConfig& config) {
  RefinementPlan plan = plan_ddp(profile, config);
  at::Tensor kept_NK = profile.self_influence_NK.to(at::kDouble).clone();
  for (size_t n = 0; n < plan.keep_N.size(); ++n) {
    if (plan.keep_N[n] == 0) kept_NK[static_cast<int64_t>(n)].fill_(std::numeric_limits<double>::quiet_NaN());
  }
  plan.weight_NK = plan.weight_NK * disentangled_reweighting(kept_NK, config.tau).to(at::kFloat);
  return plan;
}

struct Strategy {
  const char* name;
  const char* help;
  RefinementPlan (*make)(const influence::Profile&, const RefineConfig&);
};
constexpr Strategy kStrategies[] = {
    {"none", "keep everything", plan_none},
    {"ddp", "disentangled pruning: drop every sample that is among the riskiest alpha percent of a dimension", plan_ddp},
    {"ddr", "disentangled reweighting: weight each label down by its risk, temperature tau", plan_ddr},
    {"mask", "drop only the riskiest labels, keep the sample's other labels", plan_mask},
    {"ddp+ddr", "prune, then reweight what is left", plan_ddp_ddr},
    {"random", "drop as many samples as ddp would, at random", plan_random},
    {"high_loss", "as ddp, ranked by the squared residual", plan_high_loss},
    {"tracin", "drop as many samples as ddp would, ranked by scalar self-influence", plan_tracin},
    {"tracin_zsum", "as tracin, dimensions standardised before they are summed", plan_tracin_zsum},
};

const Strategy& find_strategy(const std::string& name) {
  std::string names;
  for (const auto& strategy : kStrategies) {
    if (name == strategy.name) return strategy;
    names += (names.empty() ? "" : ", ") + std::string(strategy.name);
  }
  throw core::ConfigError("unknown strategy '" + name + "'; known: " + names);
}

PlanSummary summarise(const influence::Profile& profile, const RefinementPlan& plan, const RefineConfig& config) {
  const auto dimensions = static_cast<int64_t>(profile.dimensions.size());
  const at::Tensor score_NK = profile.self_influence_NK.to(at::kDouble).contiguous();
  const at::Tensor selected_NK = (plan.weight_NK == 0).logical_and(score_NK.isfinite()).contiguous();
  PlanSummary summary{.strategy = config.strategy};
  for (const uint8_t keep : plan.keep_N) (keep != 0 ? summary.kept : summary.removed) += 1;
  at::Tensor union_N = at::zeros({score_NK.size(0)}, at::kBool);
  for (int64_t k = 0; k < dimensions; ++k) {
    const at::Tensor selected_N = selected_NK.select(1, k);
    union_N = union_N.logical_or(selected_N);
    summary.count_K.push_back(selected_N.sum().item<int64_t>());
    summary.threshold_K.push_back(summary.count_K.back() > 0 ? score_NK.select(1, k).masked_select(selected_N).min().item<double>()
                                                             : std::numeric_limits<double>::quiet_NaN());
    summary.cumulative_union.push_back(union_N.sum().item<int64_t>());
  }
  const at::Tensor label_NK = profile.label_NK.to(at::kDouble).contiguous();
  for (int64_t cell = 0; cell < selected_NK.numel(); ++cell) {
    const double label = label_NK.const_data_ptr<double>()[cell];
    if (selected_NK.const_data_ptr<bool>()[cell] && std::isfinite(label)) ++summary.label_histogram_removed[std::to_string(std::lround(label))];
  }
  return summary;
}

void check_profile(const influence::Profile& profile) {
  if (profile.ids.empty()) throw core::DataError("profile: holds no samples");
  const at::Tensor labelled_NK = profile.label_NK.isfinite();
  if (!profile.self_influence_NK.masked_select(labelled_NK).isfinite().all().item<bool>()) {
    throw core::DataError("profile: self-influence of a labelled sample is not finite; the profile is incomplete or the model diverged");
  }
}

}  // namespace

const std::vector<StrategyEntry>& strategies() {
  static const std::vector<StrategyEntry> entries = [] {
    std::vector<StrategyEntry> list;
    for (const auto& strategy : kStrategies) list.push_back({strategy.name, strategy.help});
    return list;
  }();
  return entries;
}

void check(const RefineConfig& config) {
  find_strategy(config.strategy);
  for (const double alpha : config.alpha_percent_K) {
    if (!(alpha > 0 && alpha <= 100)) throw core::ConfigError("alpha: must be above 0 and at most 100 percent, got " + std::to_string(alpha));
  }
  if (!(config.tau > 0) || !std::isfinite(config.tau)) throw core::ConfigError("tau: must be above 0, got " + std::to_string(config.tau));
  if (config.budget != "alpha" && config.budget != "match_union") {
    throw core::ConfigError("budget: must be alpha or match_union, got '" + config.budget + "'");
  }
}

std::pair<RefinementPlan, PlanSummary> refine(const influence::Profile& profile, const RefineConfig& config) {
  check(config);
  check_profile(profile);
  RefinementPlan plan = find_strategy(config.strategy).make(profile, config);
  PlanSummary summary = summarise(profile, plan, config);
  if (summary.kept == 0) throw core::ConfigError("strategy " + config.strategy + ": alpha is so large that no sample would be left");
  plan.header = {{"strategy", config.strategy}, {"alpha_percent", config.alpha_percent_K}, {"tau", config.tau}, {"budget", config.budget},
                 {"seed", config.seed}, {"model_hash", profile.model_hash}, {"data_hash", profile.data_hash}};
  return {std::move(plan), std::move(summary)};
}

}  // namespace mvrm::refine
