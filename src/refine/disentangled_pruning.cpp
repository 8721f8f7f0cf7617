// SPDX-License-Identifier: Apache-2.0
// Disentangled pruning and masking: per dimension the riskiest labels, as a union of samples or label by label.
#include "cells.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <mvrm/core/error.h>
#include <numeric>

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

RefinementPlan prune_cells(const influence::Profile& profile, const at::Tensor& selected_NK) {
  RefinementPlan plan = keep_all(profile.ids, profile.dimensions);
  const at::Tensor removed_N = selected_NK.any(1);
  for (int64_t n = 0; n < removed_N.size(0); ++n) {
    if (!removed_N.const_data_ptr<bool>()[n]) continue;
    plan.keep_N[static_cast<size_t>(n)] = 0;
    plan.weight_NK[n].zero_();
  }
  return plan;
}

RefinementPlan mask_cells(const influence::Profile& profile, const at::Tensor& selected_NK) {
  RefinementPlan plan = keep_all(profile.ids, profile.dimensions);
  plan.weight_NK.masked_fill_(selected_NK.to(at::kBool), 0);
  return plan;
}

RefinementPlan prune_samples(const influence::Profile& profile, const at::Tensor& score_N, int64_t count) {
  const at::Tensor score = score_N.to(at::kDouble).contiguous();
  const auto* value = score.const_data_ptr<double>();
  std::vector<int64_t> order(static_cast<size_t>(score.size(0)));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return value[a] != value[b] ? value[a] > value[b] : profile.ids[static_cast<size_t>(a)] < profile.ids[static_cast<size_t>(b)];
  });
  RefinementPlan plan = keep_all(profile.ids, profile.dimensions);
  for (int64_t i = 0; i < count; ++i) {
    plan.keep_N[static_cast<size_t>(order[static_cast<size_t>(i)])] = 0;
    plan.weight_NK[order[static_cast<size_t>(i)]].zero_();
  }
  return plan;
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
      .any(1).sum().item<int64_t>();
}

}  // namespace mvrm::refine
