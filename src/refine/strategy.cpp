// SPDX-License-Identifier: Apache-2.0
// The whole family of strategies on one screen, and what refine() adds to each: checks, header, summary.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/refine/automatic_alpha.h>
#include <mvrm/refine/strategy.h>
#include <cmath>
#include <limits>

#include "cells.h"

namespace mvrm::refine {

namespace {

at::Tensor risky_cells(const influence::Profile& profile, const RefineConfig& config) {
  return top_cells(profile.self_influence_NK, config.alpha_percent_K, profile.ids);
}
at::Tensor risk_table(const influence::Profile& profile) { return profile.self_influence_NK.to(at::kDouble); }

Decision decide_none(const influence::Profile& profile, const RefineConfig&) { return keep_cells(profile, risk_table(profile)); }
Decision decide_pruning(const influence::Profile& profile, const RefineConfig& config) {
  return prune_cells(profile, risk_table(profile), risky_cells(profile, config));
}
Decision decide_masking(const influence::Profile& profile, const RefineConfig& config) {
  if (config.budget == "match_union") {
    return mask_to_budget(profile, risk_table(profile), config.alpha_percent_K, pruned_labels(profile, config.alpha_percent_K));
  }
  return mask_cells(profile, risk_table(profile), risky_cells(profile, config));
}
Decision decide_reweighting(const influence::Profile& profile, const RefineConfig& config) {
  Decision decision = keep_cells(profile, risk_table(profile));
  decision.plan.weight_NK = disentangled_reweighting(profile.self_influence_NK, config.tau).to(at::kFloat);
  return decision;
}
// Statistics of the weights come from the samples that pruning keeps (spec/influence.md 3, row 18).
Decision decide_both(const influence::Profile& profile, const RefineConfig& config) {
  Decision decision = decide_pruning(profile, config);
  at::Tensor kept_NK = risk_table(profile).clone();
  for (size_t n = 0; n < decision.plan.keep_N.size(); ++n) {
    if (decision.plan.keep_N[n] == 0) kept_NK[static_cast<int64_t>(n)].fill_(std::numeric_limits<double>::quiet_NaN());
  }
  decision.plan.weight_NK = decision.plan.weight_NK * disentangled_reweighting(kept_NK, config.tau).to(at::kFloat);
  return decision;
}

struct Strategy {
  const char* name;
  const char* help;
  Decision (*decide)(const influence::Profile&, const RefineConfig&);
  bool uses_alpha;
};
constexpr Strategy kStrategies[] = {
    {"none", "keep everything", decide_none, false},
    {"ddp", "disentangled pruning: drop every sample that is among the riskiest alpha percent of a dimension", decide_pruning, true},
    {"ddr", "disentangled reweighting: weight each label down by its risk, temperature tau", decide_reweighting, false},
    {"mask", "drop only the riskiest labels, keep the sample's other labels", decide_masking, true},
    {"ddp+ddr", "prune, then reweight what is left", decide_both, true},
    {"random", "drop as many samples as ddp would, at random", decide_random, true},
    {"high_loss", "as ddp, ranked by the squared residual", decide_high_loss, true},
    {"uncertainty", "as ddp, ranked by the predictive variance of a Bayesian head", decide_uncertainty, true},
    {"tracin", "drop as many samples as ddp would, ranked by scalar self-influence", decide_tracin, true},
    {"tracin_zsum", "as tracin, dimensions standardised before they are summed", decide_tracin_zsum, true},
    {"row_sum_ddp", "as ddp, ranked by the row sums of the influence matrix", decide_row_sum_pruning, true},
    {"row_sum_ddr", "as ddr, weighted by the row sums of the influence matrix", decide_row_sum_reweighting, false},
    {"correction", "keep everything, with the labels of a corrections file", decide_correction, false},
};

const Strategy& find_strategy(const std::string& name) {
  std::string names;
  for (const auto& strategy : kStrategies) {
    if (name == strategy.name) return strategy;
    names += (names.empty() ? "" : ", ") + std::string(strategy.name);
  }
  throw core::ConfigError("unknown strategy '" + name + "'; known: " + names);
}

// One alpha per dimension: a single value is repeated; the automatic ones are read off the residuals.
std::vector<double> resolved_alpha(const influence::Profile& profile, const RefineConfig& config) {
  if (config.automatic_alpha) return automatic_alpha(profile, config.false_discovery_rate).percent_K;
  const size_t dimensions = profile.dimensions.size();
  if (config.alpha_percent_K.size() == 1) return std::vector<double>(dimensions, config.alpha_percent_K.front());
  if (config.alpha_percent_K.size() != dimensions) {
    throw core::ConfigError("alpha: " + std::to_string(config.alpha_percent_K.size()) + " values for " + std::to_string(dimensions) +
                            " dimensions; give one, or one each");
  }
  return config.alpha_percent_K;
}

// [K]: dimensions with labels of which the estimator has no number, as where there are too few of them to fit a head. The residuals are there.
at::Tensor not_estimated(const influence::Profile& profile) {
  return profile.self_influence_NK.isnan().all(0).logical_and(profile.residual_NK.isfinite().any(0));
}

void check_profile(const influence::Profile& profile) {
  if (profile.ids.empty() || profile.dimensions.empty()) throw core::DataError("profile: holds no samples or no dimensions");
  const auto rows = static_cast<int64_t>(profile.ids.size()), dimensions = static_cast<int64_t>(profile.dimensions.size());
  core::check_shape(profile.self_influence_NK, {rows, dimensions}, "self_influence");
  core::check_shape(profile.residual_NK, {rows, dimensions}, "residual");
  core::check_shape(profile.label_NK, {rows, dimensions}, "label");
  const at::Tensor missing_NK = profile.label_NK.isnan().logical_or(not_estimated(profile).unsqueeze(0)).logical_and(profile.self_influence_NK.isnan());
  const at::Tensor bad_M2 = profile.self_influence_NK.isfinite().logical_or(missing_NK).logical_not().nonzero();
  if (bad_M2.size(0) > 0) {
    const auto& id = profile.ids[static_cast<size_t>(bad_M2[0][0].item<int64_t>())];
    throw core::DataError("profile: sample '" + id + "', dimension '" + profile.dimensions[static_cast<size_t>(bad_M2[0][1].item<int64_t>())] +
                              "': the self-influence is not finite; the profile is incomplete or the model diverged", id);
  }
  if (missing_NK.all().item<bool>()) {
    throw core::DataError(profile.label_NK.isfinite().any().item<bool>()
                              ? "profile: the estimator " + profile.estimator + " has no number for any label, as where a dimension has one or two; there is nothing to refine"
                              : "profile: no sample has a label, so there is nothing to refine");
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
    if (!(alpha > 0 && alpha <= 100))
      throw core::ConfigError("alpha: must be above 0 and at most 100 percent, got " + std::to_string(alpha));
  }
  if (!(config.tau > 0) || !std::isfinite(config.tau)) throw core::ConfigError("tau: must be above 0, got " + std::to_string(config.tau));
  if (!(config.false_discovery_rate > 0 && config.false_discovery_rate < 1)) {
    throw core::ConfigError("fdr: must be between 0 and 1, got " + std::to_string(config.false_discovery_rate));
  }
  if (config.budget != "alpha" && config.budget != "match_union") {
    throw core::ConfigError("budget: must be alpha or match_union, got '" + config.budget + "'");
  }
}

ProfileNeeds profile_needs(const RefineConfig& config) {
  return {.features = config.strategy == "uncertainty" || (config.automatic_alpha && find_strategy(config.strategy).uses_alpha),
          .matrix = config.strategy == "row_sum_ddp" || config.strategy == "row_sum_ddr"};
}

std::pair<RefinementPlan, PlanSummary> refine(const influence::Profile& profile, const RefineConfig& config) {
  check(config);
  check_profile(profile);
  const Strategy& strategy = find_strategy(config.strategy);
  RefineConfig resolved = config;
  if (strategy.uses_alpha) resolved.alpha_percent_K = resolved_alpha(profile, config);
  auto decision = strategy.decide(profile, resolved);
  RefinementPlan plan = std::move(decision.plan);
  PlanSummary summary = summarise(plan, profile.label_NK, decision.selected_NK, decision.risk_NK);
  summary.strategy = config.strategy;
  const at::Tensor silent_K = not_estimated(profile);
  for (size_t k = 0; k < profile.dimensions.size(); ++k)
    if (silent_K[static_cast<int64_t>(k)].item<bool>()) summary.not_estimated.push_back(profile.dimensions[k]);
  if (strategy.uses_alpha) summary.alpha_percent_K = resolved.alpha_percent_K;
  if (!(plan.weight_NK > 0).logical_and(profile.label_NK.isfinite()).any().item<bool>()) {
    throw core::ConfigError("strategy " + config.strategy + ": removes every label of the data; lower alpha");
  }
  plan.header = {{"strategy", config.strategy},
                 {"alpha_percent", resolved.alpha_percent_K},
                 {"tau", config.tau},
                 {"budget", config.budget},
                 {"seed", config.seed},
                 {"model_hash", profile.model_hash},
                 {"data_hash", profile.data_hash}};
  if (strategy.uses_alpha && config.automatic_alpha) {
    plan.header["false_discovery_rate"] = config.false_discovery_rate;
    plan.header["alpha_from"] = profile.feature_ND.defined() ? "leave-one-out residuals" : "residuals of the profile";
  }
  if (!config.corrections.empty()) plan.header["corrections"] = config.corrections.size();
  return {std::move(plan), std::move(summary)};
}

}  // namespace mvrm::refine
