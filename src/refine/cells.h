// SPDX-License-Identifier: Apache-2.0
// What the strategies share: selected cells, and decisions made of them. N samples, K dimensions.
#pragma once
#include <mvrm/refine/strategy.h>

namespace mvrm::refine {

// A plan and why: the cells that caused a removal (not the other labels of a removed sample) and the risk they were ranked by.
struct Decision {
  RefinementPlan plan;
  core::Tensor selected_NK;  // uint8
  core::Tensor risk_NK;      // float64
};

// Every sample with a selected cell is removed (prune), or only the selected labels are (mask).
Decision prune_cells(const influence::Profile& profile, const core::Tensor& risk_NK, const core::Tensor& selected_NK);
Decision mask_cells(const influence::Profile& profile, const core::Tensor& risk_NK, const core::Tensor& selected_NK);
// The `count` labelled samples of highest risk, ties by id ascending, removed whole; their labels are the selected cells.
Decision prune_samples(const influence::Profile& profile, const core::Tensor& risk_N, int64_t count);
// As prune_cells on the top cells, but every alpha is multiplied by the one factor at which exactly `count` samples are removed.
Decision prune_to_budget(const influence::Profile& profile, const core::Tensor& risk_NK, const std::vector<double>& alpha_percent_K, int64_t count);
// As mask_cells on the top cells, but every alpha is multiplied by the one factor at which exactly `count` labels are removed, or all of
// those that have a risk.
Decision mask_to_budget(const influence::Profile& profile, const core::Tensor& risk_NK, const std::vector<double>& alpha_percent_K, int64_t count);
// Removes nothing and selects nothing.
Decision keep_cells(const influence::Profile& profile, const core::Tensor& risk_NK);

// Samples that disentangled pruning removes at these alphas: the equal budget of the other strategies.
int64_t pruning_budget(const influence::Profile& profile, const std::vector<double>& alpha_percent_K);
// The labels that go with them: the equal budget of masking.
int64_t pruned_labels(const influence::Profile& profile, const std::vector<double>& alpha_percent_K);

// Strategies, by profile and resolved configuration (one alpha a dimension).
Decision decide_random(const influence::Profile& profile, const RefineConfig& config);
Decision decide_high_loss(const influence::Profile& profile, const RefineConfig& config);
Decision decide_uncertainty(const influence::Profile& profile, const RefineConfig& config);
Decision decide_tracin(const influence::Profile& profile, const RefineConfig& config);
Decision decide_tracin_zsum(const influence::Profile& profile, const RefineConfig& config);
Decision decide_row_sum_pruning(const influence::Profile& profile, const RefineConfig& config);
Decision decide_row_sum_reweighting(const influence::Profile& profile, const RefineConfig& config);
Decision decide_correction(const influence::Profile& profile, const RefineConfig& config);

}  // namespace mvrm::refine
