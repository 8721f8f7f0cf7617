// SPDX-License-Identifier: Apache-2.0
// N samples, K dimensions.
#include <ATen/ATen.h>
#include <mvrm/core/csv.h>
#include <mvrm/core/error.h>
#include <mvrm/refine/risk.h>
#include <mvrm/refine/suspects.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

namespace mvrm::refine {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

int64_t dimension_named(const std::string& name, const influence::Profile& profile) {
  const auto found = std::find(profile.dimensions.begin(), profile.dimensions.end(), name);
  if (found != profile.dimensions.end()) return found - profile.dimensions.begin();
  std::string known;
  for (const auto& dimension : profile.dimensions) known += (known.empty() ? "" : ", ") + dimension;
  throw core::ConfigError("unknown dimension '" + name + "'; known: " + known);
}

at::Tensor percentiles(const at::Tensor& risk_NK) {
  at::Tensor percentile_NK = at::full_like(risk_NK, kNan);
  for (int64_t k = 0; k < risk_NK.size(1); ++k) {
    const at::Tensor column_N = risk_NK.select(1, k);
    const at::Tensor sorted = std::get<0>(column_N.masked_select(column_N.isnan().logical_not()).sort());
    if (sorted.numel() == 0) continue;
    const at::Tensor not_above_N = at::searchsorted(sorted, column_N.contiguous(), /*out_int32=*/false, /*right=*/true);
    const at::Tensor share_N = not_above_N.to(at::kDouble) * (100.0 / static_cast<double>(sorted.numel()));
    percentile_NK.select(1, k).copy_(share_N.masked_fill(column_N.isnan(), kNan));
  }
  return percentile_NK;
}

// The pairs that the "high here, low there" options leave.
at::Tensor wanted_cells(const influence::Profile& profile, const at::Tensor& percentile_NK, const SuspectOptions& options) {
  for (const double percentile : {options.high_percentile, options.low_percentile}) {
    if (!(percentile >= 0 && percentile <= 100)) throw core::ConfigError("percentile: must be between 0 and 100, got " + std::to_string(percentile));
  }
  at::Tensor sample_N = at::ones({percentile_NK.size(0)}, at::kBool);
  at::Tensor dimension_K = options.high.empty() ? at::ones({percentile_NK.size(1)}, at::kBool) : at::zeros({percentile_NK.size(1)}, at::kBool);
  for (const auto& name : options.high) {
    const int64_t k = dimension_named(name, profile);
    dimension_K[k].fill_(true);
    sample_N = sample_N.logical_and(percentile_NK.select(1, k) >= options.high_percentile);
  }
  for (const auto& name : options.low) {
    sample_N = sample_N.logical_and(percentile_NK.select(1, dimension_named(name, profile)) <= options.low_percentile);
  }
  return sample_N.unsqueeze(1).logical_and(dimension_K.unsqueeze(0));
}

}  // namespace

std::vector<Suspect> list_suspects(const influence::Profile& profile, const at::Tensor& risk_NK, const SuspectOptions& options,
                                   const at::Tensor& order_NK) {
  const at::Tensor risk = risk_NK.to(at::kDouble).contiguous(), z_NK = z_scores(risk), percentile_NK = percentiles(risk);
  const at::Tensor order = order_NK.defined() ? order_NK.to(at::kDouble).contiguous() : z_NK;
  core::check_shape(order, {risk.size(0), risk.size(1)}, "order");
  const at::Tensor wanted_NK = wanted_cells(profile, percentile_NK, options).logical_and(order.isnan().logical_not()).contiguous();
  const auto* by = order.const_data_ptr<double>();
  const auto* z = z_NK.const_data_ptr<double>();
  std::vector<int64_t> cells;
  for (int64_t cell = 0; cell < risk.numel(); ++cell) {
    if (wanted_NK.const_data_ptr<bool>()[cell]) cells.push_back(cell);
  }
  std::sort(cells.begin(), cells.end(), [&](int64_t a, int64_t b) { return std::tuple(-by[a], -z[a], a) < std::tuple(-by[b], -z[b], b); });
  if (options.count < static_cast<int64_t>(cells.size())) cells.resize(static_cast<size_t>(std::max<int64_t>(options.count, 0)));
  std::vector<Suspect> suspects;
  for (const int64_t cell : cells) {
    suspects.push_back({.row = cell / risk.size(1), .dimension = cell % risk.size(1), .risk = risk.const_data_ptr<double>()[cell], .z = z[cell],
                        .percentile = percentile_NK.const_data_ptr<double>()[cell], .probability = kNan, .suggestion = kNan});
  }
  return suspects;
}

nlohmann::ordered_json to_json(const std::vector<Suspect>& suspects, const influence::Profile& profile) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& suspect : suspects) {
    const auto n = static_cast<size_t>(suspect.row), k = static_cast<size_t>(suspect.dimension);
    const auto cell = [&](const at::Tensor& table_NK) { return table_NK[suspect.row][suspect.dimension].item<double>(); };
    list.push_back({{"id", profile.ids[n]}, {"prompt", n < profile.prompts.size() ? profile.prompts[n] : ""},
                    {"dimension", profile.dimensions[k]}, {"label", cell(profile.label_NK)}, {"prediction", cell(profile.prediction_NK)},
                    {"residual", cell(profile.residual_NK)}, {"risk", suspect.risk}, {"z", suspect.z}, {"percentile", suspect.percentile}});
    if (!std::isnan(suspect.probability)) list.back()["noise_probability"] = suspect.probability;
    if (!std::isnan(suspect.suggestion)) list.back()["suggested_label"] = suspect.suggestion;
  }
  return list;
}

std::string to_csv(const std::vector<Suspect>& suspects, const influence::Profile& profile) {
  static const std::vector<std::string> kColumns{"id",   "prompt", "dimension",  "label",             "prediction",     "residual",
                                                 "risk", "z",      "percentile", "noise_probability", "suggested_label"};
  std::string text;
  for (const auto& column : kColumns) text += (text.empty() ? "" : ",") + column;
  text += "\n";
  for (const auto& row : to_json(suspects, profile)) {
    std::string line;
    for (const auto& column : kColumns) {
      if (column != kColumns.front()) line += ",";
      if (!row.contains(column)) continue;
      line += row[column].is_string() ? core::csv_cell(row[column].get<std::string>()) : row[column].dump();
    }
    text += line + "\n";
  }
  return text;
}

}  // namespace mvrm::refine
