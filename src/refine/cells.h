// SPDX-License-Identifier: Apache-2.0
// What the strategies share: selected cells, and plans made of them. N samples, K dimensions.
#pragma once
#include <mvrm/refine/strategy.h>

namespace mvrm::refine {

// A plan in which every sample with a selected cell is removed (prune), or only the selected labels are (mask).
RefinementPlan prune_cells(const influence::Profile& profile, const core::Tensor& selected_NK);
RefinementPlan mask_cells(const influence::Profile& profile, const core::Tensor& selected_NK);
// The `count` samples of highest score, ties by id ascending, removed whole.
RefinementPlan prune_samples(const influence::Profile& profile, const core::Tensor& score_N, int64_t count);

// One alpha per dimension: a single value is repeated. Throws ConfigError for a wrong number of values.
std::vector<double> alpha_of_dimensions(const RefineConfig& config, size_t dimensions);
// Samples that disentangled pruning removes under this configuration: the equal budget of the baselines.
int64_t pruning_budget(const influence::Profile& profile, const RefineConfig& config);

RefinementPlan plan_random(const influence::Profile& profile, const RefineConfig& config);
RefinementPlan plan_high_loss(const influence::Profile& profile, const RefineConfig& config);
RefinementPlan plan_tracin(const influence::Profile& profile, const RefineConfig& config);
RefinementPlan plan_tracin_zsum(const influence::Profile& profile, const RefineConfig& config);

// (S - mean) / population standard deviation per dimension over finite cells, float64; 0 where the deviation is 0; NaN stays NaN.
core::Tensor z_scores(const core::Tensor& score_NK);

}  // namespace mvrm::refine
