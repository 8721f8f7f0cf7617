// SPDX-License-Identifier: Apache-2.0
// The family of refinement strategies: profile in, plan out. One table in strategy.cpp lists them all.
#pragma once
#include <mvrm/refine/corrections.h>
#include <mvrm/refine/plan.h>
#include <mvrm/refine/risk.h>
#include <mvrm/refine/summary.h>
#include <string>
#include <utility>
#include <vector>

namespace mvrm::refine {

struct RefineConfig {
  std::string strategy = "none";             // a name of strategies()
  std::vector<double> alpha_percent_K{0.5};  // in (0, 100], one value for all dimensions or one each
  bool automatic_alpha = false;              // alpha from the residuals (automatic_alpha.h) instead; 0 where nothing stands out
  double false_discovery_rate = 0.1;         // of automatic alpha, in (0, 1)
  double tau = 1.0;                          // > 0, sharpness of reweighting
  std::string budget = "alpha";              // of strategies that rank each dimension: alpha, or match_union: as many samples as ddp removes,
                                             // of mask as many labels (all alphas times one factor); strategies with one number a sample
                                             // always do the latter
  uint64_t seed = 42;                        // random only
  RiskTables risk_tables = {};               // made elsewhere; what a profile can't give
  std::vector<Correction> corrections = {};  // correction only
};
struct StrategyEntry {
  const char* name;
  const char* help;
};
const std::vector<StrategyEntry>& strategies();

// Throws ConfigError for an unknown strategy or value; refine() calls it, a long run calls it before its first step.
void check(const RefineConfig& config);

// What a profile must keep for this configuration beyond its tables.
struct ProfileNeeds {
  bool features = false, matrix = false;
};
ProfileNeeds profile_needs(const RefineConfig& config);

// n_k = ceil(alpha_k N_k) cells per dimension, order (risk descending, id ascending): deterministic under ties. NaN cells never chosen.
// Throws ConfigError for an unknown strategy (lists the names), alpha outside (0, 100], tau <= 0, DataError for a risk that the profile can't give.
std::pair<RefinementPlan, PlanSummary> refine(const influence::Profile& profile, const RefineConfig& config);

// omega = 1/(1+exp(z/tau)), z from the population statistics of each dimension, rescaled to a global mean of 1 (float64). Standard
// deviation 0: z = 0.
core::Tensor disentangled_reweighting(const core::Tensor& self_influence_NK, double tau);
// 1 on the cells of each dimension's top alpha percent, uint8 [N,K].
core::Tensor top_cells(const core::Tensor& risk_NK, const std::vector<double>& alpha_percent_K, const std::vector<std::string>& ids);
// Everything kept, corrected labels in the plan, withdrawn labels at weight 0. Needs no profile. Throws DataError (corrections.h).
RefinementPlan correction_plan(const std::vector<std::string>& ids, const std::vector<std::string>& dimensions, const core::Tensor& label_NK,
                               const std::vector<Correction>& corrections);

}  // namespace mvrm::refine
