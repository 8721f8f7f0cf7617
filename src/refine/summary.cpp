// SPDX-License-Identifier: Apache-2.0
// N samples, K dimensions.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/refine/summary.h>
#include <algorithm>
#include <cmath>
#include <limits>

namespace mvrm::refine {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

LabelHistogram histogram_of(const at::Tensor& label_NK, const at::Tensor& chosen_NK) {
  LabelHistogram histogram;
  const at::Tensor label = label_NK.masked_select(chosen_NK.logical_and(label_NK.isfinite())).to(at::kDouble).contiguous();
  for (int64_t i = 0; i < label.numel(); ++i) ++histogram[std::to_string(std::lround(label.const_data_ptr<double>()[i]))];
  return histogram;
}

std::vector<double> quantiles_of(const at::Tensor& values) {
  std::vector<double> quantiles;
  if (values.numel() == 0) return std::vector<double>(std::size(kWeightQuantiles), kNan);
  const at::Tensor sorted = std::get<0>(values.to(at::kDouble).sort());
  const auto* value = sorted.const_data_ptr<double>();
  for (const double q : kWeightQuantiles) {
    const double position = q * static_cast<double>(sorted.numel() - 1);
    const auto low = static_cast<int64_t>(position);
    const int64_t high = std::min(low + 1, sorted.numel() - 1);
    quantiles.push_back(value[low] + (position - static_cast<double>(low)) * (value[high] - value[low]));
  }
  return quantiles;
}

// Selected labels by dimension, and how far the dimensions select the same samples.
void count_selected(PlanSummary& summary, const at::Tensor& label_NK, const at::Tensor& selected_NK, const at::Tensor& risk_NK) {
  at::Tensor union_N = at::zeros({selected_NK.size(0)}, at::kBool);
  for (int64_t k = 0; k < selected_NK.size(1); ++k) {
    const at::Tensor selected_N = selected_NK.select(1, k);
    union_N = union_N.logical_or(selected_N);
    summary.count_K.push_back(selected_N.sum().item<int64_t>());
    summary.threshold_K.push_back(summary.count_K.back() > 0 ? risk_NK.select(1, k).masked_select(selected_N).min().item<double>() : kNan);
    summary.cumulative_union.push_back(union_N.sum().item<int64_t>());
    summary.label_histogram_K.push_back(histogram_of(label_NK.select(1, k), selected_N));
  }
}

}  // namespace

PlanSummary summarise(const RefinementPlan& plan, const at::Tensor& label_NK, const at::Tensor& selected_NK, const at::Tensor& risk_NK) {
  PlanSummary summary;
  for (const uint8_t keep : plan.keep_N) (keep != 0 ? summary.kept : summary.removed) += 1;
  count_selected(summary, label_NK, selected_NK.to(at::kBool), risk_NK.to(at::kDouble));
  const at::Tensor weight_NK = plan.weight_NK.to(at::kDouble), labelled_NK = label_NK.isfinite();
  const at::Tensor gone_NK = (weight_NK == 0).logical_and(labelled_NK);
  summary.removed_labels = gone_NK.sum().item<int64_t>();
  summary.label_histogram_removed = histogram_of(label_NK, gone_NK);
  if (plan.label_NK.defined()) summary.changed_labels = plan.label_NK.isfinite().sum().item<int64_t>();
  for (int64_t k = 0; k < weight_NK.size(1); ++k) {
    const at::Tensor weight = weight_NK.select(1, k).masked_select(labelled_NK.select(1, k));
    summary.mean_weight_K.push_back(weight.numel() > 0 ? weight.mean().item<double>() : kNan);
  }
  at::Tensor kept_N1 = at::empty({static_cast<int64_t>(plan.keep_N.size()), 1}, at::kBool);
  for (size_t n = 0; n < plan.keep_N.size(); ++n) kept_N1.mutable_data_ptr<bool>()[n] = plan.keep_N[n] != 0;
  summary.weight_quantiles = quantiles_of(weight_NK.masked_select(labelled_NK.logical_and(kept_N1)));
  const at::Tensor weight = weight_NK.masked_select(labelled_NK);
  const double sum = weight.sum().item<double>(), squares = weight.square().sum().item<double>();
  summary.effective_share = squares > 0 ? sum * sum / (static_cast<double>(weight.numel()) * squares) : 0;
  return summary;
}

nlohmann::json to_json(const PlanSummary& summary, const std::vector<std::string>& dimensions) {
  const auto number = [](double x) { return std::isfinite(x) ? nlohmann::json(x) : nlohmann::json(); };
  nlohmann::json document{{"strategy", summary.strategy},
                          {"kept", summary.kept},
                          {"removed", summary.removed},
                          {"removed_labels", summary.removed_labels},
                          {"changed_labels", summary.changed_labels},
                          {"cumulative_union", summary.cumulative_union},
                          {"label_histogram_removed", summary.label_histogram_removed},
                          {"weight_quantiles", nlohmann::json::object()},
                          {"effective_share", number(summary.effective_share)},
                          {"not_estimated", summary.not_estimated},
                          {"per_dimension", nlohmann::json::object()}};
  for (size_t q = 0; q < std::size(kWeightQuantiles); ++q) {
    std::string name = std::to_string(kWeightQuantiles[q]).substr(0, 4);
    document["weight_quantiles"][name] = number(summary.weight_quantiles[q]);
  }
  for (size_t k = 0; k < dimensions.size(); ++k) {
    nlohmann::json& row = document["per_dimension"][dimensions[k]];
    row = {{"threshold", number(summary.threshold_K[k])},
           {"count", summary.count_K[k]},
           {"label_histogram", summary.label_histogram_K[k]},
           {"mean_weight", number(summary.mean_weight_K[k])}};
    if (!summary.alpha_percent_K.empty()) row["alpha_percent"] = summary.alpha_percent_K[k];
  }
  return document;
}

}  // namespace mvrm::refine
