// SPDX-License-Identifier: Apache-2.0
// The family of refinement strategies: profile in, plan out. One table in strategy.cpp lists them all.
#pragma once
#include <mvrm/refine/plan.h>
#include <string>
#include <utility>
#include <vector>

namespace mvrm::refine {

struct RefineConfig {
  std::string strategy = "none";             // none ddp ddr mask random high_loss tracin …
  std::vector<double> alpha_percent_K{0.5};  // in (0, 100], one value for all dimensions or one each
  double tau = 1.0;                          // > 0, sharpness of reweighting
  std::string budget = "alpha";              // alpha | match_union (scalar strategies remove as many samples as ddp would)
  uint64_t seed = 42;                        // random only
};
struct StrategyEntry {
  const char* name;
  const char* help;
};
const std::vector<StrategyEntry>& strategies();

// Throws ConfigError for an unknown strategy or value; refine() calls it, a long run calls it before its first step.
void check(const RefineConfig& config);

// n_k = ceil(alpha_k N_k) cells per dimension, order (score descending, id ascending): deterministic under ties. NaN cells never chosen.
// Throws ConfigError for an unknown strategy (lists the names), alpha outside (0, 100], tau <= 0.
std::pair<RefinementPlan, PlanSummary> refine(const influence::Profile& profile, const RefineConfig& config);

// omega = 1/(1+exp(z/tau)), z from the population statistics of each dimension, rescaled to a global mean of 1 (float64). Standard
// deviation 0: z = 0.
core::Tensor disentangled_reweighting(const core::Tensor& self_influence_NK, double tau);
// 1 on the cells of each dimension's top alpha percent, uint8 [N,K].
core::Tensor top_cells(const core::Tensor& score_NK, const std::vector<double>& alpha_percent_K, const std::vector<std::string>& ids);

// Area under the ROC curve with mid-ranks (Mann-Whitney), O(N log N). NaN scores left out; NaN when a class is empty.
double auroc(const std::vector<double>& score, const std::vector<uint8_t>& positive);

}  // namespace mvrm::refine
