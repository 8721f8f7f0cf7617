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

// Finite cells of a column by risk descending, id ascending: a total order, so ties are cut the same way on every run.
std::vector<int64_t> risk_order(const at::Tensor& risk_NK, int64_t k, const std::vector<std::string>& ids) {
  const auto* risk = risk_NK.const_data_ptr<double>();
  const int64_t dimensions = risk_NK.size(1);
  std::vector<int64_t> order;
  for (int64_t n = 0; n < risk_NK.size(0); ++n) {
    if (std::isfinite(risk[n * dimensions + k])) order.push_back(n);
  }
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    const double x = risk[a * dimensions + k], y = risk[b * dimensions + k];
    return x != y ? x > y : ids[static_cast<size_t>(a)] < ids[static_cast<size_t>(b)];
  });
  return order;
}

// The small allowance keeps ceil(5 % of 240) at 12 although 0.05 is not exact in binary.
size_t cells_at(double alpha_percent, size_t labelled) {
  const double exact = alpha_percent / 100.0 * static_cast<double>(labelled);
  return std::min(labelled, static_cast<size_t>(std::max(0.0, std::ceil(exact - 1e-9))));
}

constexpr double kNever = std::numeric_limits<double>::infinity();

// By cell, the factor on alpha at which it is selected: its place in the order over the dimension's own count.
std::vector<double> selecting_factors(const at::Tensor& risk_NK, const std::vector<double>& alpha_percent_K, const std::vector<std::string>& ids) {
  const auto dimensions = static_cast<size_t>(risk_NK.size(1));
  std::vector<double> factor(static_cast<size_t>(risk_NK.numel()), kNever);
  for (size_t k = 0; k < dimensions; ++k) {
    const auto order = risk_order(risk_NK, static_cast<int64_t>(k), ids);
    const size_t own = cells_at(alpha_percent_K[k], order.size());
    for (size_t i = 0; own > 0 && i < order.size(); ++i) {
      factor[static_cast<size_t>(order[i]) * dimensions + k] = static_cast<double>(i + 1) / static_cast<double>(own);
    }
  }
  return factor;
}

}  // namespace

at::Tensor top_cells(const at::Tensor& risk_NK, const std::vector<double>& alpha_percent_K, const std::vector<std::string>& ids) {
  const at::Tensor risk = risk_NK.to(at::kDouble).contiguous();
  const int64_t dimensions = risk.size(1);
  MVRM_CHECK(static_cast<int64_t>(alpha_percent_K.size()) == dimensions, alpha_percent_K.size(), " alphas for ", dimensions, " dimensions");
  at::Tensor selected_NK = at::zeros({risk.size(0), dimensions}, at::kByte);
  for (int64_t k = 0; k < dimensions; ++k) {
    const auto order = risk_order(risk, k, ids);
    const size_t budget = cells_at(alpha_percent_K[static_cast<size_t>(k)], order.size());
    for (size_t i = 0; i < budget; ++i) selected_NK.mutable_data_ptr<uint8_t>()[order[i] * dimensions + k] = 1;
  }
  return selected_NK;
}

Decision keep_cells(const influence::Profile& profile, const at::Tensor& risk_NK) {
  return {.plan = keep_all(profile.ids, profile.dimensions),
          .selected_NK = at::zeros(risk_NK.sizes(), at::kByte),
          .risk_NK = risk_NK.to(at::kDouble).contiguous()};
}

Decision mask_cells(const influence::Profile& profile, const at::Tensor& risk_NK, const at::Tensor& selected_NK) {
  Decision decision{.plan = keep_all(profile.ids, profile.dimensions), .selected_NK = selected_NK, .risk_NK = risk_NK};
  decision.plan.weight_NK.masked_fill_(selected_NK.to(at::kBool), 0);
  return decision;
}

Decision prune_cells(const influence::Profile& profile, const at::Tensor& risk_NK, const at::Tensor& selected_NK) {
  Decision decision = mask_cells(profile, risk_NK, selected_NK);
  const at::Tensor removed_N = selected_NK.any(1).to(at::kBool).contiguous();
  decision.plan.weight_NK.masked_fill_(removed_N.unsqueeze(1), 0);
  for (size_t n = 0; n < decision.plan.keep_N.size(); ++n) decision.plan.keep_N[n] = removed_N.const_data_ptr<bool>()[n] ? 0 : 1;
  return decision;
}

Decision prune_samples(const influence::Profile& profile, const at::Tensor& risk_N, int64_t count) {
  const at::Tensor labelled_NK = profile.self_influence_NK.isfinite();
  const double never = std::numeric_limits<double>::quiet_NaN();
  const at::Tensor risk_N1 = risk_N.to(at::kDouble).masked_fill(labelled_NK.any(1).logical_not(), never).unsqueeze(1).contiguous();
  const auto order = risk_order(risk_N1, 0, profile.ids);
  MVRM_CHECK(count <= static_cast<int64_t>(order.size()), "a budget of ", count, " for ", order.size(), " labelled samples");
  at::Tensor removed_N1 = at::zeros({risk_N1.size(0), 1}, at::kBool);
  for (int64_t i = 0; i < count; ++i) removed_N1.mutable_data_ptr<bool>()[order[static_cast<size_t>(i)]] = true;
  Decision decision = prune_cells(profile, risk_N1.expand_as(labelled_NK).contiguous(), removed_N1.expand_as(labelled_NK).to(at::kByte));
  decision.selected_NK = removed_N1.logical_and(labelled_NK).to(at::kByte);
  return decision;
}

Decision prune_to_budget(const influence::Profile& profile, const at::Tensor& risk_NK, const std::vector<double>& alpha_percent_K, int64_t count) {
  const at::Tensor risk = risk_NK.to(at::kDouble).contiguous();
  const int64_t rows = risk.size(0), dimensions = risk.size(1);
  const std::vector<double> factor = selecting_factors(risk, alpha_percent_K, profile.ids);
  std::vector<double> first(static_cast<size_t>(rows), kNever);   // at which a sample is removed: with its first cell
  for (size_t cell = 0; cell < factor.size(); ++cell) {
    double& sample = first[cell / static_cast<size_t>(dimensions)];
    sample = std::min(sample, factor[cell]);
  }
  std::vector<size_t> samples;
  for (size_t n = 0; n < first.size(); ++n) {
    if (first[n] < kNever) samples.push_back(n);
  }
  MVRM_CHECK(count <= static_cast<int64_t>(samples.size()), "a budget of ", count, " for ", samples.size(), " samples");
  std::sort(samples.begin(), samples.end(), [&](size_t a, size_t b) { return first[a] != first[b] ? first[a] < first[b] : profile.ids[a] < profile.ids[b]; });
  samples.resize(static_cast<size_t>(count));
  at::Tensor selected_NK = at::zeros({rows, dimensions}, at::kByte);
  const double last = samples.empty() ? 0 : first[samples.back()];
  for (const size_t n : samples) {
    for (size_t cell = n * static_cast<size_t>(dimensions); cell < (n + 1) * static_cast<size_t>(dimensions); ++cell)
      selected_NK.mutable_data_ptr<uint8_t>()[cell] = factor[cell] <= last ? 1 : 0;
  }
  return prune_cells(profile, risk, selected_NK);
}

Decision mask_to_budget(const influence::Profile& profile, const at::Tensor& risk_NK, const std::vector<double>& alpha_percent_K, int64_t count) {
  const at::Tensor risk = risk_NK.to(at::kDouble).contiguous();
  const auto dimensions = static_cast<size_t>(risk.size(1));
  const std::vector<double> factor = selecting_factors(risk, alpha_percent_K, profile.ids);
  std::vector<size_t> cells;
  for (size_t cell = 0; cell < factor.size(); ++cell) {
    if (factor[cell] < kNever) cells.push_back(cell);
  }
  std::sort(cells.begin(), cells.end(), [&](size_t a, size_t b) {
    if (factor[a] != factor[b]) return factor[a] < factor[b];
    const auto &x = profile.ids[a / dimensions], &y = profile.ids[b / dimensions];
    return x != y ? x < y : profile.dimensions[a % dimensions] < profile.dimensions[b % dimensions];
  });
  cells.resize(std::min(cells.size(), static_cast<size_t>(count)));
  at::Tensor selected_NK = at::zeros(risk.sizes(), at::kByte);
  for (const size_t cell : cells) selected_NK.mutable_data_ptr<uint8_t>()[cell] = 1;
  return mask_cells(profile, risk, selected_NK);
}

namespace {

at::Tensor pruned_N(const influence::Profile& profile, const std::vector<double>& alpha_percent_K) {
  return top_cells(profile.self_influence_NK, alpha_percent_K, profile.ids).any(1);
}

}  // namespace

int64_t pruning_budget(const influence::Profile& profile, const std::vector<double>& alpha_percent_K) {
  return pruned_N(profile, alpha_percent_K).sum().item<int64_t>();
}

int64_t pruned_labels(const influence::Profile& profile, const std::vector<double>& alpha_percent_K) {
  return profile.label_NK.isfinite().logical_and(pruned_N(profile, alpha_percent_K).unsqueeze(1)).sum().item<int64_t>();
}

}  // namespace mvrm::refine
