// SPDX-License-Identifier: Apache-2.0
// Correlations of every dimension with percentile bootstrap intervals. N samples, K dimensions.
#include <ATen/ATen.h>
#include <mvrm/eval/rank_correlation.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "column_correlation.h"
#include "labelled_column.h"
#include "resampling.h"

namespace mvrm::eval {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

bool is_constant(const std::vector<double>& values) { return std::equal(values.begin() + 1, values.end(), values.begin()); }

}  // namespace

LabelledColumn labelled_column(const at::Tensor& reward_NK, const at::Tensor& label_NK, size_t k) {
  const auto dimensions = static_cast<size_t>(reward_NK.size(1));
  const auto* reward = reward_NK.const_data_ptr<double>();
  const auto* label = label_NK.const_data_ptr<double>();
  LabelledColumn column;
  for (size_t n = 0; n < static_cast<size_t>(reward_NK.size(0)); ++n) {
    const double x = reward[n * dimensions + k], y = label[n * dimensions + k];
    if (!std::isfinite(x) || std::isnan(y)) continue;
    column.reward.push_back(x);
    column.label.push_back(y);
    column.rows.push_back(static_cast<uint32_t>(n));
  }
  return column;
}

std::string undefined_reason(const LabelledColumn& column) {
  if (column.rows.empty()) return "no row has a label and a reward";
  if (column.rows.size() == 1) return "only one row has a label and a reward";
  if (is_constant(column.label)) return "all labels are equal";
  return is_constant(column.reward) ? "all rewards are equal" : "";
}

EvalResult evaluate_spearman(const Predictions& predictions, int64_t resamples, uint64_t seed, int64_t threads) {
  const auto rows = static_cast<size_t>(predictions.reward_NK.size(0)), dimensions = predictions.dimensions.size();
  const at::Tensor reward_NK = predictions.reward_NK.to(at::kDouble).contiguous(), label_NK = predictions.label_NK.to(at::kDouble).contiguous();
  EvalResult result{.dimensions = {}, .n = static_cast<int64_t>(rows)};
  std::vector<ResampledSpearman> resampled;
  std::vector<double> defined;
  for (size_t k = 0; k < dimensions; ++k) {
    const LabelledColumn column = labelled_column(reward_NK, label_NK, k);
    DimensionResult one{.name = predictions.dimensions[k], .spearman = kNan, .p_value = kNan, .low = kNan, .high = kNan,
                        .n = static_cast<int64_t>(column.rows.size()), .pearson = {kNan, kNan}, .kendall = {kNan, kNan},
                        .reason = undefined_reason(column)};
    const RankedColumn reward = rank_column(column.reward), label = rank_column(column.label);
    if (one.reason.empty()) {
      const Correlation correlation = spearman(reward, label);
      one.spearman = correlation.r;
      one.p_value = correlation.p_value;
      one.pearson = pearson(column.reward, column.label);
      one.kendall = kendall(reward, label);
    }
    defined.push_back(one.spearman);
    result.dimensions.push_back(std::move(one));
    resampled.emplace_back(reward, label, column.rows, rows);
  }
  std::vector<std::vector<double>> draws(dimensions, std::vector<double>(static_cast<size_t>(resamples)));
  std::vector<double> mean_draws(static_cast<size_t>(resamples));
  for_each_resample(rows, resamples, seed, threads, [&](int64_t b, const RowCounts& counts) {
    std::vector<double> values(dimensions);
    for (size_t k = 0; k < dimensions; ++k) draws[k][static_cast<size_t>(b)] = values[k] = resampled[k](counts);
    mean_draws[static_cast<size_t>(b)] = mean_defined(values);
  });
  for (size_t k = 0; k < dimensions; ++k) {
    auto& one = result.dimensions[k];
    if (one.reason.empty()) std::tie(one.low, one.high) = interval(std::move(draws[k]));
  }
  result.mean = mean_defined(defined);
  std::tie(result.mean_low, result.mean_high) = interval(std::move(mean_draws));
  return result;
}

std::string to_json_text(const EvalResult& result) {
  using Json = nlohmann::ordered_json;
  const auto number = [](double x) { return std::isfinite(x) ? Json(x) : Json(); };
  Json document{{"n", result.n}, {"dimensions", Json::object()}};
  for (const auto& d : result.dimensions) {
    Json one{{"spearman", number(d.spearman)}, {"p_value", number(d.p_value)}, {"low", number(d.low)}, {"high", number(d.high)}, {"n", d.n},
             {"pearson", number(d.pearson.r)}, {"pearson_p_value", number(d.pearson.p_value)},
             {"kendall", number(d.kendall.r)}, {"kendall_p_value", number(d.kendall.p_value)}};
    if (!d.reason.empty()) one["reason"] = d.reason;
    document["dimensions"][d.name] = std::move(one);
  }
  document["mean"] = number(result.mean);
  document["mean_low"] = number(result.mean_low);
  document["mean_high"] = number(result.mean_high);
  return document.dump();
}

}  // namespace mvrm::eval
