// SPDX-License-Identifier: Apache-2.0
// The data-side baselines, each at the budget of disentangled pruning where it is asked for: random, High-Loss, uncertainty, scalar TracIn
// and its sum of z-scores, the row sums of the influence matrix; and corrected labels.
#include <ATen/ATen.h>
#include <mvrm/core/random.h>
#include <mvrm/influence/estimator.h>
#include <mvrm/refine/risk.h>
#include <limits>

#include "cells.h"

namespace mvrm::refine {

namespace {

// Per dimension the riskiest labels, as a union of samples.
Decision prune_riskiest(const influence::Profile& profile, const RefineConfig& config, const at::Tensor& risk_NK) {
  if (config.budget == "match_union") {
    return prune_to_budget(profile, risk_NK, config.alpha_percent_K, pruning_budget(profile, config.alpha_percent_K));
  }
  return prune_cells(profile, risk_NK, top_cells(risk_NK, config.alpha_percent_K, profile.ids));
}

}  // namespace

Decision decide_random(const influence::Profile& profile, const RefineConfig& config) {
  // A key is a function of seed and id alone: adding a sample to the data does not reshuffle the others.
  at::Tensor key_N = at::empty({static_cast<int64_t>(profile.ids.size())}, at::kDouble);
  for (size_t n = 0; n < profile.ids.size(); ++n) {
    key_N.mutable_data_ptr<double>()[n] = core::CounterRng(config.seed, "random pruning " + profile.ids[n]).uniform();
  }
  return prune_samples(profile, key_N, pruning_budget(profile, config.alpha_percent_K));
}

Decision decide_high_loss(const influence::Profile& profile, const RefineConfig& config) {
  return prune_riskiest(profile, config, risk_named("loss", profile));
}

Decision decide_uncertainty(const influence::Profile& profile, const RefineConfig& config) {
  return prune_riskiest(profile, config, risk_named("uncertainty", profile, config.risk_tables));
}

Decision decide_tracin(const influence::Profile& profile, const RefineConfig& config) {
  return prune_samples(profile, influence::tracin_scalar(profile.self_influence_NK), pruning_budget(profile, config.alpha_percent_K));
}

Decision decide_tracin_zsum(const influence::Profile& profile, const RefineConfig& config) {
  return prune_samples(profile, influence::tracin_scalar(z_scores(profile.self_influence_NK)),
                       pruning_budget(profile, config.alpha_percent_K));
}

Decision decide_row_sum_pruning(const influence::Profile& profile, const RefineConfig& config) {
  return prune_riskiest(profile, config, risk_named("row_sum", profile, config.risk_tables));
}

Decision decide_row_sum_reweighting(const influence::Profile& profile, const RefineConfig& config) {
  const at::Tensor row_sum_NK = risk_named("row_sum", profile, config.risk_tables);
  Decision decision = keep_cells(profile, row_sum_NK);
  decision.plan.weight_NK = disentangled_reweighting(row_sum_NK, config.tau).to(at::kFloat);
  return decision;
}

// A withdrawn label weighs nothing; the other changed labels travel with the plan.
Decision decide_correction(const influence::Profile& profile, const RefineConfig& config) {
  Decision decision = keep_cells(profile, profile.self_influence_NK.to(at::kDouble));
  decision.plan = correction_plan(profile.ids, profile.dimensions, profile.label_NK, config.corrections);
  decision.selected_NK = decision.plan.weight_NK.eq(0).to(at::kByte);
  if (decision.plan.label_NK.defined()) decision.selected_NK = decision.selected_NK.logical_or(decision.plan.label_NK.isfinite()).to(at::kByte);
  return decision;
}

RefinementPlan correction_plan(const std::vector<std::string>& ids, const std::vector<std::string>& dimensions, const at::Tensor& label_NK,
                               const std::vector<Correction>& corrections) {
  RefinementPlan plan = keep_all(ids, dimensions);
  const at::Tensor old_NK = label_NK.to(at::kFloat), new_NK = corrected_labels(label_NK, ids, dimensions, corrections);
  const at::Tensor changed_NK = new_NK.isfinite().logical_and(new_NK.ne(old_NK));  // a NaN differs from every number
  if (changed_NK.any().item<bool>()) plan.label_NK = new_NK.masked_fill(changed_NK.logical_not(), std::numeric_limits<float>::quiet_NaN());
  plan.weight_NK.masked_fill_(new_NK.isnan().logical_and(old_NK.isfinite()), 0);
  plan.header = {{"strategy", "correction"}, {"corrections", corrections.size()}};
  return plan;
}

}  // namespace mvrm::refine
