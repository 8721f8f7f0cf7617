// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/random.h>
#include <mvrm/eval/compare.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "column_correlation.h"
#include "labelled_column.h"
#include "outcome_bootstrap.h"
#include "resampling.h"
#include "row_file.h"

namespace mvrm::eval {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Interval and p-value of the paired differences.
void judge(ComparedValue& value, std::vector<double> differences) {
  value.difference = value.b - value.a;
  value.low = value.high = value.p_value = kNan;
  std::erase_if(differences, [](double x) { return std::isnan(x); });
  if (std::isnan(value.difference) || differences.empty()) return;
  const auto up = std::count_if(differences.begin(), differences.end(), [](double x) { return x >= 0; });
  const auto down = std::count_if(differences.begin(), differences.end(), [](double x) { return x <= 0; });
  const auto drawn = static_cast<double>(differences.size());
  value.p_value = std::min(1.0, 2 * (static_cast<double>(std::min(up, down)) + 1) / (drawn + 1));
  std::tie(value.low, value.high) = interval(std::move(differences));
}

template <class Id>
std::unordered_map<Id, size_t> index_of(const std::vector<Id>& ids, const char* model) {
  std::unordered_map<Id, size_t> index;
  for (size_t n = 0; n < ids.size(); ++n) {
    if (index.emplace(ids[n], n).second) continue;
    std::ostringstream text;
    text << "mvrm eval compare: '" << ids[n] << "' is twice in the predictions of " << model;
    throw core::DataError(text.str());
  }
  return index;
}

struct Matched {
  std::vector<std::pair<size_t, size_t>> rows;  // of a, of b
  int64_t only_in_a = 0, only_in_b = 0;
};

template <class Id>
Matched match(const std::vector<Id>& a, const std::vector<Id>& b) {
  const auto in_a = index_of(a, "A"), in_b = index_of(b, "B");
  Matched matched;
  for (size_t n = 0; n < a.size(); ++n) {
    if (const auto found = in_b.find(a[n]); found != in_b.end()) matched.rows.emplace_back(n, found->second);
  }
  const auto both = static_cast<int64_t>(matched.rows.size());
  if (both == 0) throw core::DataError("mvrm eval compare: A and B have no sample in common");
  matched.only_in_a = static_cast<int64_t>(a.size()) - both;
  matched.only_in_b = static_cast<int64_t>(b.size()) - both;
  return matched;
}

size_t column_named(const std::vector<std::string>& dimensions, const std::string& name) {
  return static_cast<size_t>(std::find(dimensions.begin(), dimensions.end(), name) - dimensions.begin());
}

struct Cell {
  double reward, label;
};
class Table {
 public:
  explicit Table(const Predictions& predictions)
      : reward_NK_(predictions.reward_NK.to(at::kDouble).contiguous()), label_NK_(predictions.label_NK.to(at::kDouble).contiguous()) {}
  Cell cell(size_t n, size_t k) const {
    const size_t at = n * static_cast<size_t>(reward_NK_.size(1)) + k;
    return {reward_NK_.const_data_ptr<double>()[at], label_NK_.const_data_ptr<double>()[at]};
  }

 private:
  at::Tensor reward_NK_, label_NK_;
};

// Two columns of rewards over the same rows and labels.
struct PairedColumn {
  LabelledColumn a;
  std::vector<double> reward_b;
};

// Only what both rewarded and either has a label for.
PairedColumn paired_column(const Predictions& a, const Table& table_a, const Table& table_b, const Matched& matched, std::pair<size_t, size_t> k) {
  PairedColumn column;
  for (size_t i = 0; i < matched.rows.size(); ++i) {
    const Cell x = table_a.cell(matched.rows[i].first, k.first), y = table_b.cell(matched.rows[i].second, k.second);
    if (!std::isnan(x.label) && !std::isnan(y.label) && x.label != y.label) {
      const std::string& id = a.ids[matched.rows[i].first];
      throw core::DataError("mvrm eval compare: sample '" + id + "': the label of '" + a.dimensions[k.first] + "' is not the same in A and B", id);
    }
    const double label = std::isnan(x.label) ? y.label : x.label;
    if (std::isnan(label) || !std::isfinite(x.reward) || !std::isfinite(y.reward)) continue;
    column.a.reward.push_back(x.reward);
    column.a.label.push_back(label);
    column.a.rows.push_back(static_cast<uint32_t>(i));
    column.reward_b.push_back(y.reward);
  }
  return column;
}

double correlation_or_nan(const RankedColumn& reward, const RankedColumn& label) {
  return reward.order.size() < 2 ? kNan : spearman(reward, label).r;
}

// b - a of every resample, by dimension and for their mean.
struct Draws {
  std::vector<std::vector<double>> dimension_K;
  std::vector<double> mean;

  void add(const Draws& other) {
    for (size_t k = 0; k < dimension_K.size(); ++k) add(dimension_K[k], other.dimension_K[k]);
    add(mean, other.mean);
  }
  void divide(double divisor) {
    for (auto& column : dimension_K)
      for (double& x : column) x /= divisor;
    for (double& x : mean) x /= divisor;
  }

 private:
  static void add(std::vector<double>& sum, const std::vector<double>& more) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += more[i];
  }
};

// Two models on the samples that both have, sorted once and ready to be resampled.
class PairedRun {
 public:
  PairedRun(const Predictions& a, const Predictions& b) {
    const Matched matched = match(a.ids, b.ids);
    const Table table_a(a), table_b(b);
    rows_ = matched.rows.size();
    values = {.n = static_cast<int64_t>(rows_), .only_in_a = matched.only_in_a, .only_in_b = matched.only_in_b};
    std::vector<double> values_a, values_b;
    for (size_t k = 0; k < a.dimensions.size(); ++k) {
      const size_t in_b = column_named(b.dimensions, a.dimensions[k]);
      if (in_b == b.dimensions.size()) continue;
      const PairedColumn column = paired_column(a, table_a, table_b, matched, {k, in_b});
      const RankedColumn label = rank_column(column.a.label), reward_a = rank_column(column.a.reward), reward_b = rank_column(column.reward_b);
      ComparedValue value{.name = a.dimensions[k], .a = correlation_or_nan(reward_a, label), .b = correlation_or_nan(reward_b, label),
                          .n = static_cast<int64_t>(column.a.rows.size())};
      values_a.push_back(value.a);
      values_b.push_back(value.b);
      if (std::isnan(value.a + value.b)) values_a.back() = values_b.back() = kNan;  // the mean is over dimensions defined for both
      values.dimensions.push_back(std::move(value));
      resampled_.emplace_back(ResampledSpearman(reward_a, label, column.a.rows, rows_), ResampledSpearman(reward_b, label, column.a.rows, rows_));
    }
    if (resampled_.empty()) throw core::DataError("mvrm eval compare: A and B have no dimension in common");
    values.mean = {.name = "mean", .a = mean_defined(values_a), .b = mean_defined(values_b), .n = values.n};
  }

  Draws resample(const CompareOptions& options) const {
    const auto resamples = static_cast<size_t>(options.resamples);
    Draws draws{.dimension_K = std::vector<std::vector<double>>(resampled_.size(), std::vector<double>(resamples)), .mean = std::vector<double>(resamples)};
    for_each_resample(rows_, options.resamples, options.seed, options.threads, [&](int64_t draw, const RowCounts& counts) {
      std::vector<double> one(resampled_.size());
      for (size_t k = 0; k < one.size(); ++k) one[k] = resampled_[k].second(counts) - resampled_[k].first(counts);
      for (size_t k = 0; k < one.size(); ++k) draws.dimension_K[k][static_cast<size_t>(draw)] = one[k];
      draws.mean[static_cast<size_t>(draw)] = mean_defined(one);
    });
    return draws;
  }

  CompareResult values;   // without intervals

 private:
  size_t rows_ = 0;
  std::vector<std::pair<ResampledSpearman, ResampledSpearman>> resampled_;
};

// Sums the values of another run; samples are counted once.
void add(CompareResult& sum, const CompareResult& more) {
  const auto same_name = [](const ComparedValue& x, const ComparedValue& y) { return x.name == y.name; };
  if (!std::equal(sum.dimensions.begin(), sum.dimensions.end(), more.dimensions.begin(), more.dimensions.end(), same_name)) {
    throw core::DataError("mvrm eval compare: the runs have different dimensions");
  }
  const auto add_value = [](ComparedValue& x, const ComparedValue& y) {
    x.a += y.a;
    x.b += y.b;
  };
  for (size_t k = 0; k < sum.dimensions.size(); ++k) add_value(sum.dimensions[k], more.dimensions[k]);
  add_value(sum.mean, more.mean);
}

}  // namespace

CompareResult compare_spearman(const Predictions& a, const Predictions& b, const CompareOptions& options) {
  return compare_spearman(std::vector<ComparedRun>{{&a, &b}}, options);
}

CompareResult compare_spearman(const std::vector<ComparedRun>& runs, const CompareOptions& options) {
  MVRM_CHECK(!runs.empty(), "no runs to compare");
  CompareResult result;
  Draws sum;
  for (size_t r = 0; r < runs.size(); ++r) {
    PairedRun run(*runs[r].a, *runs[r].b);
    const bool same_samples = r == 0 || runs[r].a->ids == runs[0].a->ids;
    const Draws draws = run.resample({options.resamples, same_samples ? options.seed : core::combine64(options.seed, r), options.threads});
    if (r == 0) {
      result = run.values;
      sum = draws;
    } else {
      add(result, run.values);
      sum.add(draws);
    }
  }
  const auto divisor = static_cast<double>(runs.size());
  sum.divide(divisor);
  for (size_t k = 0; k <= result.dimensions.size(); ++k) {
    ComparedValue& value = k < result.dimensions.size() ? result.dimensions[k] : result.mean;
    value.a /= divisor;
    value.b /= divisor;
    judge(value, std::move(k < result.dimensions.size() ? sum.dimension_K[k] : sum.mean));
  }
  return result;
}

CompareResult compare_pairs(const PairTable& a, const PairTable& b, const CompareOptions& options) {
  if (a.dimensions != b.dimensions) throw core::DataError("mvrm eval compare: A and B have different dimensions");
  const Matched matched = match(a.keys, b.keys);
  const std::vector<uint64_t> of_a = outcomes_of(a), of_b = outcomes_of(b);
  const size_t columns = a.dimensions.size() + 1;
  std::vector<uint64_t> both;
  for (const auto& [row_a, row_b] : matched.rows) both.push_back(of_a[row_a] | (of_b[row_b] & ~kTieBit) << columns);
  const auto accuracies = bootstrap_outcomes(both, 2 * columns, {options.resamples, options.seed, options.threads});
  CompareResult result{.n = accuracies.pairs, .only_in_a = matched.only_in_a, .only_in_b = matched.only_in_b};
  for (size_t k = 0; k < columns; ++k) {
    ComparedValue value{.name = k + 1 < columns ? a.dimensions[k] : "mean", .a = accuracies.all[k].accuracy, .b = accuracies.all[k + columns].accuracy,
                        .n = accuracies.pairs};
    std::vector<double> differences = accuracies.draws[k + columns];
    for (size_t i = 0; i < differences.size(); ++i) differences[i] -= accuracies.draws[k][i];
    judge(value, std::move(differences));
    if (k + 1 < columns) result.dimensions.push_back(std::move(value));
    else result.mean = std::move(value);
  }
  return result;
}

std::string to_json_text(const CompareResult& result) {
  const auto number = [](double x) { return std::isfinite(x) ? Row(x) : Row(); };
  const auto object = [&](const ComparedValue& v) {
    return Row{{"a", number(v.a)}, {"b", number(v.b)}, {"difference", number(v.difference)}, {"low", number(v.low)},
               {"high", number(v.high)}, {"p_value", number(v.p_value)}, {"n", v.n}};
  };
  Row document{{"n", result.n}, {"dimensions", Row::object()}, {"mean", object(result.mean)}, {"only_in_a", result.only_in_a}, {"only_in_b", result.only_in_b}};
  for (const auto& d : result.dimensions) document["dimensions"][d.name] = object(d);
  return document.dump();
}

}  // namespace mvrm::eval
