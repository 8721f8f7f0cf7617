// SPDX-License-Identifier: Apache-2.0
// What the strategies share: selected cells, and decisions made of them. N samples, K dimensions.
#pragma once
#include <mvrm/refine/strategy.h>

namespace mvrm::refine {

// A plan and why: the cells that caused a removal (not the other labels of a removed sample) and the score they were ranked by.
struct Decision {
  RefinementPlan plan;
  core::Tensor selected_NK;  // uint8
  core::Tensor score_NK;     // float64
};

// Every sample with a selected cell is removed (prune), or only the selected labels are (mask).
Decision prune_cells(const influence::Profile& profile, const core::Tensor& score_NK, const core::Tensor& selected_NK);
Decision mask_cells(const influence::Profile& profile, const core::Tensor& score_NK, const core::Tensor& selected_NK);
// The `count` labelled samples of highest score, ties by id ascending, removed whole; their labels are the selected cells.
Decision prune_samples(const influence::Profile& profile, const core::Tensor& score_N, int64_t count);
// Removes nothing and selects nothing.
Decision keep_cells(const influence::Profile& profile);

// One alpha per dimension: a single value is repeated. Throws ConfigError for a wrong number of values.
std::vector<double> alpha_of_dimensions(const RefineConfig& config, size_t dimensions);
// Samples that disentangled pruning removes under this configuration: the equal budget of the baselines.
int64_t pruning_budget(const influence::Profile& profile, const RefineConfig& config);

Decision decide_random(const influence::Profile& profile, const RefineConfig& config);
Decision decide_high_loss(const influence::Profile& profile, const RefineConfig& config);
Decision decide_tracin(const influence::Profile& profile, const RefineConfig& config);
Decision decide_tracin_zsum(const influence::Profile& profile, const RefineConfig& config);

// (S - mean) / population standard deviation per dimension over finite cells, float64; 0 where the deviation is 0; NaN stays NaN.
core::Tensor z_scores(const core::Tensor& score_NK);

}  // namespace mvrm::refine
