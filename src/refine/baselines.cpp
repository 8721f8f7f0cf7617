// SPDX-License-Identifier: Apache-2.0
// The data-side baselines: random, High-Loss, scalar TracIn and its sum of z-scores, at the budget of disentangled pruning.
#include <ATen/ATen.h>
#include <mvrm/core/random.h>
#include <mvrm/influence/estimator.h>

#include "cells.h"

namespace mvrm::refine {

Decision decide_random(const influence::Profile& profile, const RefineConfig& config) {
  // A key is a function of seed and id alone: adding a sample to the data does not reshuffle the others.
  at::Tensor key_N = at::empty({static_cast<int64_t>(profile.ids.size())}, at::kDouble);
  for (size_t n = 0; n < profile.ids.size(); ++n) {
    key_N.mutable_data_ptr<double>()[n] = core::CounterRng(config.seed, "random pruning " + profile.ids[n]).uniform();
  }
  return prune_samples(profile, key_N, pruning_budget(profile, config));
}

Decision decide_high_loss(const influence::Profile& profile, const RefineConfig& config) {
  const at::Tensor loss_NK = profile.residual_NK.to(at::kDouble).square();
  if (config.budget == "match_union") return prune_samples(profile, influence::tracin_scalar(loss_NK), pruning_budget(profile, config));
  return prune_cells(profile, loss_NK, top_cells(loss_NK, alpha_of_dimensions(config, profile.dimensions.size()), profile.ids));
}

Decision decide_tracin(const influence::Profile& profile, const RefineConfig& config) {
  return prune_samples(profile, influence::tracin_scalar(profile.self_influence_NK), pruning_budget(profile, config));
}

Decision decide_tracin_zsum(const influence::Profile& profile, const RefineConfig& config) {
  return prune_samples(profile, influence::tracin_scalar(z_scores(profile.self_influence_NK)), pruning_budget(profile, config));
}

}  // namespace mvrm::refine
