// SPDX-License-Identifier: Apache-2.0
// The whole family of strategies on one screen, and what refine() adds to each: checks, header, summary.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/refine/strategy.h>
#include <algorithm>
#include <cmath>
#include <limits>

#include "cells.h"

namespace mvrm::refine {

namespace {

Decision decide_none(const influence::Profile& profile, const RefineConfig&) { return keep_cells(profile); }

at::Tensor risky_cells(const influence::Profile& profile, const RefineConfig& config) {
  return top_cells(profile.self_influence_NK, alpha_of_dimensions(config, profile.dimensions.size()), profile.ids);
}
Decision decide_pruning(const influence::Profile& profile, const RefineConfig& config) {
  return prune_cells(profile, profile.self_influence_NK.to(at::kDouble), risky_cells(profile, config));
}
Decision decide_masking(const influence::Profile& profile, const RefineConfig& config) {
  return mask_cells(profile, profile.self_influence_NK.to(at::kDouble), risky_cells(profile, config));
}
Decision decide_reweighting(const influence::Profile& profile, const RefineConfig& config) {
  Decision decision = keep_cells(profile);
  decision.plan.weight_NK = disentangled_reweighting(profile.self_influence_NK, config.tau).to(at::kFloat);
  return decision;
}
// Statistics of the weights come from the samples that pruning keeps (spec/influence.md 3, row 18).
Decision decide_both(const influence::Profile& profile, const RefineConfig& config) {
  Decision decision = decide_pruning(profile, config);
  at::Tensor kept_NK = profile.self_influence_NK.to(at::kDouble).clone();
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
};
constexpr Strategy kStrategies[] = {
    {"none", "keep everything", decide_none},
    {"ddp", "disentangled pruning: drop every sample that is among the riskiest alpha percent of a dimension", decide_pruning},
    {"ddr", "disentangled reweighting: weight each label down by its risk, temperature tau", decide_reweighting},
    {"mask", "drop only the riskiest labels, keep the sample's other labels", decide_masking},
    {"ddp+ddr", "prune, then reweight what is left", decide_both},
    {"random", "drop as many samples as ddp would, at random", decide_random},
    {"high_loss", "as ddp, ranked by the squared residual", decide_high_loss},
    {"tracin", "drop as many samples as ddp would, ranked by scalar self-influence", decide_tracin},
    {"tracin_zsum", "as tracin, dimensions standardised before they are summed", decide_tracin_zsum},
};

const Strategy& find_strategy(const std::string& name) {
  std::string names;
  for (const auto& strategy : kStrategies) {
    if (name == strategy.name) return strategy;
    names += (names.empty() ? "" : ", ") + std::string(strategy.name);
  }
  throw core::ConfigError("unknown strategy '" + name + "'; known: " + names);
}

PlanSummary summarise(const influence::Profile& profile, const Decision& decision, const std::string& strategy) {
  PlanSummary summary{.strategy = strategy};
  for (const uint8_t keep : decision.plan.keep_N) (keep != 0 ? summary.kept : summary.removed) += 1;
  const at::Tensor selected_NK = decision.selected_NK.to(at::kBool);
  at::Tensor union_N = at::zeros({selected_NK.size(0)}, at::kBool);
  for (int64_t k = 0; k < selected_NK.size(1); ++k) {
    const at::Tensor selected_N = selected_NK.select(1, k);
    union_N = union_N.logical_or(selected_N);
    summary.count_K.push_back(selected_N.sum().item<int64_t>());
    summary.threshold_K.push_back(summary.count_K.back() > 0 ? decision.score_NK.select(1, k).masked_select(selected_N).min().item<double>()
                                                             : std::numeric_limits<double>::quiet_NaN());
    summary.cumulative_union.push_back(union_N.sum().item<int64_t>());
  }
  const at::Tensor gone_NK = (decision.plan.weight_NK == 0).logical_and(profile.label_NK.isfinite());
  const at::Tensor label = profile.label_NK.masked_select(gone_NK).to(at::kDouble).contiguous();
  for (int64_t i = 0; i < label.numel(); ++i)
    ++summary.label_histogram_removed[std::to_string(std::lround(label.const_data_ptr<double>()[i]))];
  return summary;
}

void check_profile(const influence::Profile& profile) {
  if (profile.ids.empty() || profile.dimensions.empty()) throw core::DataError("profile: holds no samples or no dimensions");
  const auto rows = static_cast<int64_t>(profile.ids.size()), dimensions = static_cast<int64_t>(profile.dimensions.size());
  core::check_shape(profile.self_influence_NK, {rows, dimensions}, "self_influence");
  core::check_shape(profile.residual_NK, {rows, dimensions}, "residual");
  core::check_shape(profile.label_NK, {rows, dimensions}, "label");
  const at::Tensor missing_NK = profile.label_NK.isnan().logical_and(profile.self_influence_NK.isnan());
  if (!profile.self_influence_NK.isfinite().logical_or(missing_NK).all().item<bool>()) {
    throw core::DataError("profile: self-influence of a labelled sample is not finite; the profile is incomplete or the model diverged");
  }
  if (missing_NK.all().item<bool>()) throw core::DataError("profile: no sample has a label, so there is nothing to refine");
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
  if (config.budget != "alpha" && config.budget != "match_union") {
    throw core::ConfigError("budget: must be alpha or match_union, got '" + config.budget + "'");
  }
}

std::pair<RefinementPlan, PlanSummary> refine(const influence::Profile& profile, const RefineConfig& config) {
  check(config);
  check_profile(profile);
  auto decision = find_strategy(config.strategy).decide(profile, config);
  PlanSummary summary = summarise(profile, decision, config.strategy);
  RefinementPlan plan = std::move(decision.plan);
  if (!(plan.weight_NK > 0).logical_and(profile.label_NK.isfinite()).any().item<bool>()) {
    throw core::ConfigError("strategy " + config.strategy + ": removes every label of the data; lower alpha");
  }
  plan.header = {{"strategy", config.strategy},
                 {"alpha_percent", config.alpha_percent_K},
                 {"tau", config.tau},
                 {"budget", config.budget},
                 {"seed", config.seed},
                 {"model_hash", profile.model_hash},
                 {"data_hash", profile.data_hash}};
  return {std::move(plan), std::move(summary)};
}

}  // namespace mvrm::refine
