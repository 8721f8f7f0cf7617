// SPDX-License-Identifier: Apache-2.0
// Spearman with percentile bootstrap intervals. A resample is a vector of counts per row; because the rows of each column are sorted
// once, the ranks of a resample cost O(n), not O(n log n).
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/random.h>
#include <mvrm/eval/rank_correlation.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

namespace mvrm::eval {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// A column by groups of equal values: group_of[row] is the index of the row's value among the distinct ones.
struct Column {
  std::vector<uint32_t> group_of;
  uint32_t groups = 0;
};

Column column_of(const std::vector<double>& values) {
  std::vector<uint32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](uint32_t i, uint32_t j) { return values[i] < values[j]; });
  Column column{.group_of = std::vector<uint32_t>(values.size()), .groups = 0};
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || values[order[i]] != values[order[i - 1]]) ++column.groups;
    column.group_of[order[i]] = column.groups - 1;
  }
  return column;
}

// Average rank of each group under the counts of a resample, centred so that sums stay small.
void centred_ranks(const Column& column, const std::vector<uint32_t>& count, std::vector<double>& weight, std::vector<double>& rank) {
  weight.assign(column.groups, 0);
  for (size_t i = 0; i < count.size(); ++i) weight[column.group_of[i]] += count[i];
  rank.resize(column.groups);
  const double centre = 0.5 * (std::accumulate(weight.begin(), weight.end(), 0.0) + 1);
  double below = 0;
  for (uint32_t g = 0; g < column.groups; ++g) {
    rank[g] = below + 0.5 * (weight[g] + 1) - centre;
    below += weight[g];
  }
}

class Bootstrap {
 public:
  Bootstrap(const std::vector<double>& a, const std::vector<double>& b) : a_(column_of(a)), b_(column_of(b)) {}
  double spearman(const std::vector<uint32_t>& count) {
    centred_ranks(a_, count, weight_a_, rank_a_);
    centred_ranks(b_, count, weight_b_, rank_b_);
    double aa = 0, bb = 0, ab = 0;
    for (uint32_t g = 0; g < a_.groups; ++g) aa += weight_a_[g] * rank_a_[g] * rank_a_[g];
    for (uint32_t g = 0; g < b_.groups; ++g) bb += weight_b_[g] * rank_b_[g] * rank_b_[g];
    for (size_t i = 0; i < count.size(); ++i) ab += count[i] * rank_a_[a_.group_of[i]] * rank_b_[b_.group_of[i]];
    return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : kNan;
  }

 private:
  Column a_, b_;
  std::vector<double> weight_a_, weight_b_, rank_a_, rank_b_;
};

// Linear interpolation between order statistics, as numpy.percentile does; NaN values are left out.
std::pair<double, double> interval(std::vector<double> values) {
  std::erase_if(values, [](double x) { return std::isnan(x); });
  if (values.empty()) return {kNan, kNan};
  std::sort(values.begin(), values.end());
  const auto at = [&](double q) {
    const double position = q * static_cast<double>(values.size() - 1);
    const auto low = static_cast<size_t>(position);
    const size_t high = std::min(low + 1, values.size() - 1);
    return values[low] + (position - static_cast<double>(low)) * (values[high] - values[low]);
  };
  return {at(0.025), at(0.975)};
}

double mean_defined(const std::vector<double>& values) {
  double sum = 0;
  int64_t count = 0;
  for (const double x : values) {
    if (std::isnan(x)) continue;
    sum += x;
    ++count;
  }
  return count > 0 ? sum / static_cast<double>(count) : kNan;
}

struct Pairs {
  std::vector<double> reward, label;
  std::vector<size_t> rows;
};

Pairs labelled_pairs(const at::Tensor& reward_NK, const at::Tensor& label_NK, size_t k) {
  const auto dimensions = static_cast<size_t>(reward_NK.size(1));
  const auto* reward = reward_NK.const_data_ptr<double>();
  const auto* label = label_NK.const_data_ptr<double>();
  Pairs pairs;
  for (size_t n = 0; n < static_cast<size_t>(reward_NK.size(0)); ++n) {
    const double x = reward[n * dimensions + k], y = label[n * dimensions + k];
    if (std::isnan(x) || std::isnan(y)) continue;
    pairs.reward.push_back(x);
    pairs.label.push_back(y);
    pairs.rows.push_back(n);
  }
  return pairs;
}

}  // namespace

EvalResult evaluate_spearman(const Predictions& predictions, int64_t resamples, uint64_t seed) {
  const auto rows = static_cast<size_t>(predictions.reward_NK.size(0));
  const at::Tensor reward_NK = predictions.reward_NK.to(at::kDouble).contiguous();
  const at::Tensor label_NK = predictions.label_NK.to(at::kDouble).contiguous();
  EvalResult result{.n = static_cast<int64_t>(rows)};
  std::vector<Pairs> pairs;
  std::vector<Bootstrap> bootstraps;
  for (size_t k = 0; k < predictions.dimensions.size(); ++k) {
    pairs.push_back(labelled_pairs(reward_NK, label_NK, k));
    const Correlation correlation = spearman(pairs[k].reward, pairs[k].label);
    result.dimensions.push_back(
        {predictions.dimensions[k], correlation.r, correlation.p_value, kNan, kNan, static_cast<int64_t>(pairs[k].rows.size())});
    bootstraps.emplace_back(pairs[k].reward, pairs[k].label);
  }
  std::vector<std::vector<double>> draws(pairs.size());
  std::vector<double> mean_draws, values(pairs.size());
  std::vector<uint32_t> count(rows), labelled_count;
  for (int64_t b = 0; b < resamples; ++b) {
    core::CounterRng rng(seed, core::combine64(core::hash64("bootstrap"), static_cast<uint64_t>(b)));
    std::fill(count.begin(), count.end(), 0U);
    for (size_t i = 0; i < rows; ++i) ++count[static_cast<size_t>(rng.below(static_cast<int64_t>(rows)))];
    for (size_t k = 0; k < pairs.size(); ++k) {
      labelled_count.clear();
      for (const size_t n : pairs[k].rows) labelled_count.push_back(count[n]);
      values[k] = bootstraps[k].spearman(labelled_count);
      draws[k].push_back(values[k]);
    }
    mean_draws.push_back(mean_defined(values));
  }
  std::vector<double> defined;
  for (size_t k = 0; k < pairs.size(); ++k) {
    defined.push_back(result.dimensions[k].spearman);
    if (!std::isnan(defined.back())) std::tie(result.dimensions[k].low, result.dimensions[k].high) = interval(draws[k]);
  }
  result.mean = mean_defined(defined);
  std::tie(result.mean_low, result.mean_high) = interval(mean_draws);
  return result;
}

std::string to_json_text(const EvalResult& result) {
  const auto number = [](double x) { return std::isfinite(x) ? nlohmann::ordered_json(x) : nlohmann::ordered_json(); };
  nlohmann::ordered_json document{{"n", result.n}, {"dimensions", nlohmann::ordered_json::object()}};
  for (const auto& d : result.dimensions) {
    document["dimensions"][d.name] = {
        {"spearman", number(d.spearman)}, {"p_value", number(d.p_value)}, {"low", number(d.low)}, {"high", number(d.high)}, {"n", d.n}};
  }
  document["mean"] = number(result.mean);
  document["mean_low"] = number(result.mean_low);
  document["mean_high"] = number(result.mean_high);
  return document.dump();
}

}  // namespace mvrm::eval
