// SPDX-License-Identifier: Apache-2.0
// Disentangled pruning and masking: per dimension the riskiest labels, as a union of samples or label by label.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <algorithm>
#include <cmath>
#include <limits>

#include "cells.h"

namespace mvrm::refine {

namespace {

// Finite cells of a column by score descending, id ascending: a total order, so ties are cut the same way on every run.
std::vector<int64_t> risk_order(const at::Tensor& score_NK, int64_t k, const std::vector<std::string>& ids) {
  const auto* score = score_NK.const_data_ptr<double>();
  const int64_t dimensions = score_NK.size(1);
  std::vector<int64_t> order;
  for (int64_t n = 0; n < score_NK.size(0); ++n) {
    if (std::isfinite(score[n * dimensions + k])) order.push_back(n);
  }
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    const double x = score[a * dimensions + k], y = score[b * dimensions + k];
    return x != y ? x > y : ids[static_cast<size_t>(a)] < ids[static_cast<size_t>(b)];
  });
  return order;
}

}  // namespace

at::Tensor top_cells(const at::Tensor& score_NK, const std::vector<double>& alpha_percent_K, const std::vector<std::string>& ids) {
  const at::Tensor score = score_NK.to(at::kDouble).contiguous();
  const int64_t dimensions = score.size(1);
  MVRM_CHECK(static_cast<int64_t>(alpha_percent_K.size()) == dimensions, alpha_percent_K.size(), " alphas for ", dimensions, " dimensions");
  at::Tensor selected_NK = at::zeros({score.size(0), dimensions}, at::kByte);
  for (int64_t k = 0; k < dimensions; ++k) {
    const auto order = risk_order(score, k, ids);
    // The small allowance keeps ceil(5 % of 240) at 12 although 0.05 is not exact in binary.
    const double exact = alpha_percent_K[static_cast<size_t>(k)] / 100.0 * static_cast<double>(order.size());
    const auto budget = std::min(order.size(), static_cast<size_t>(std::ceil(exact - 1e-9)));
    for (size_t i = 0; i < budget; ++i) selected_NK.mutable_data_ptr<uint8_t>()[order[i] * dimensions + k] = 1;
  }
  return selected_NK;
}

Decision keep_cells(const influence::Profile& profile) {
  return {.plan = keep_all(profile.ids, profile.dimensions),
          .selected_NK = at::zeros(profile.self_influence_NK.sizes(), at::kByte),
          .score_NK = profile.self_influence_NK.to(at::kDouble).contiguous()};
}

Decision mask_cells(const influence::Profile& profile, const at::Tensor& score_NK, const at::Tensor& selected_NK) {
  Decision decision{.plan = keep_all(profile.ids, profile.dimensions), .selected_NK = selected_NK, .score_NK = score_NK};
  decision.plan.weight_NK.masked_fill_(selected_NK.to(at::kBool), 0);
  return decision;
}

Decision prune_cells(const influence::Profile& profile, const at::Tensor& score_NK, const at::Tensor& selected_NK) {
  Decision decision = mask_cells(profile, score_NK, selected_NK);
  const at::Tensor removed_N = selected_NK.any(1).to(at::kBool).contiguous();
  decision.plan.weight_NK.masked_fill_(removed_N.unsqueeze(1), 0);
  for (size_t n = 0; n < decision.plan.keep_N.size(); ++n) decision.plan.keep_N[n] = removed_N.const_data_ptr<bool>()[n] ? 0 : 1;
  return decision;
}

Decision prune_samples(const influence::Profile& profile, const at::Tensor& score_N, int64_t count) {
  const at::Tensor labelled_NK = profile.self_influence_NK.isfinite();
  const double never = std::numeric_limits<double>::quiet_NaN();
  const at::Tensor score_N1 = score_N.to(at::kDouble).masked_fill(labelled_NK.any(1).logical_not(), never).unsqueeze(1).contiguous();
  const auto order = risk_order(score_N1, 0, profile.ids);
  MVRM_CHECK(count <= static_cast<int64_t>(order.size()), "a budget of ", count, " for ", order.size(), " labelled samples");
  at::Tensor removed_N1 = at::zeros({score_N1.size(0), 1}, at::kBool);
  for (int64_t i = 0; i < count; ++i) removed_N1.mutable_data_ptr<bool>()[order[static_cast<size_t>(i)]] = true;
  Decision decision = prune_cells(profile, score_N1.expand_as(labelled_NK).contiguous(), removed_N1.expand_as(labelled_NK).to(at::kByte));
  decision.selected_NK = removed_N1.logical_and(labelled_NK).to(at::kByte);
  return decision;
}

std::vector<double> alpha_of_dimensions(const RefineConfig& config, size_t dimensions) {
  if (config.alpha_percent_K.size() == 1) return std::vector<double>(dimensions, config.alpha_percent_K.front());
  if (config.alpha_percent_K.size() != dimensions) {
    throw core::ConfigError("alpha: " + std::to_string(config.alpha_percent_K.size()) + " values for " + std::to_string(dimensions) +
                            " dimensions; give one, or one each");
  }
  return config.alpha_percent_K;
}

int64_t pruning_budget(const influence::Profile& profile, const RefineConfig& config) {
  return top_cells(profile.self_influence_NK, alpha_of_dimensions(config, profile.dimensions.size()), profile.ids)
      .any(1)
      .sum()
      .item<int64_t>();
}

}  // namespace mvrm::refine
