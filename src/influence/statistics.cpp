// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <mvrm/dist/shard.h>
#include <mvrm/influence/profile.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace mvrm::influence {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kQuantiles[] = {0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1};

std::vector<double> finite_column(const at::Tensor& table_NK, int64_t k) {
  const at::Tensor column_N = table_NK.select(1, k).to(at::kDouble).contiguous();
  std::vector<double> values(column_N.const_data_ptr<double>(), column_N.const_data_ptr<double>() + column_N.numel());
  std::erase_if(values, [](double x) { return !std::isfinite(x); });
  return values;
}

std::vector<size_t> order_of(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] > values[b]; });
  return order;
}

// Spearman without the p-value; eval has the full one, but stands below this stage.
double rank_correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const auto ranks = [](const std::vector<double>& values) {
    const auto order = order_of(values);
    std::vector<double> rank(values.size());
    for (size_t begin = 0; begin < order.size();) {
      size_t end = begin;
      while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
      for (size_t i = begin; i < end; ++i) rank[order[i]] = 0.5 * static_cast<double>(begin + end + 1);
      begin = end;
    }
    return rank;
  };
  const auto x = ranks(a), y = ranks(b);
  const double mean = 0.5 * (static_cast<double>(a.size()) + 1);
  double xx = 0, yy = 0, xy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
    xy += (x[i] - mean) * (y[i] - mean);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : kNan;
}

double jaccard_of_top(const std::vector<double>& a, const std::vector<double>& b, double alpha_percent) {
  const auto count = static_cast<size_t>(std::ceil(alpha_percent / 100 * static_cast<double>(a.size()) - 1e-9));
  if (count == 0) return kNan;
  std::vector<uint8_t> in_a(a.size(), 0);
  const auto order_a = order_of(a), order_b = order_of(b);
  for (size_t i = 0; i < count; ++i) in_a[order_a[i]] = 1;
  size_t shared = 0;
  for (size_t i = 0; i < count; ++i) shared += in_a[order_b[i]];
  return static_cast<double>(shared) / static_cast<double>(2 * count - shared);
}

}  // namespace

void Moments::add(double x) {
  const double delta = x - mean;
  mean += delta / static_cast<double>(++count);
  squares += delta * (x - mean);
}

void Moments::merge(const Moments& other) {
  if (other.count == 0) return;
  const auto own = static_cast<double>(count), theirs = static_cast<double>(other.count), all = own + theirs;
  const double delta = other.mean - mean;
  mean += delta * theirs / all;
  squares += other.squares + delta * delta * own * theirs / all;
  count += other.count;
}

double Moments::standard_deviation() const { return count == 0 ? 0 : std::sqrt(squares / static_cast<double>(count)); }

std::vector<Moments> merged_moments(const at::Tensor& table_NK, dist::Communicator& comm) {
  constexpr int64_t kChunk = 64;
  const at::Tensor values_NK = table_NK.to(at::kDouble).contiguous();
  const int64_t rows = values_NK.size(0), dimensions = values_NK.size(1), chunks = (rows + kChunk - 1) / kChunk;
  std::vector<Moments> total_K(static_cast<size_t>(dimensions));
  if (rows == 0) return total_K;
  at::Tensor parts_CK3 = at::zeros({chunks, dimensions, 3}, at::kDouble);
  const auto value = values_NK.accessor<double, 2>();
  auto part = parts_CK3.accessor<double, 3>();
  for (const int64_t c : dist::interleaved_rows(chunks, comm)) {
    for (int64_t k = 0; k < dimensions; ++k) {
      Moments moments;
      for (int64_t n = c * kChunk; n < std::min(rows, (c + 1) * kChunk); ++n) {
        if (std::isfinite(value[n][k])) moments.add(value[n][k]);
      }
      part[c][k][0] = static_cast<double>(moments.count);
      part[c][k][1] = moments.mean;
      part[c][k][2] = moments.squares;
    }
  }
  dist::share_interleaved_rows(parts_CK3, comm);
  const auto shared = parts_CK3.accessor<double, 3>();
  for (int64_t c = 0; c < chunks; ++c) {
    for (int64_t k = 0; k < dimensions; ++k) {
      total_K[static_cast<size_t>(k)].merge({.count = static_cast<int64_t>(shared[c][k][0]), .mean = shared[c][k][1], .squares = shared[c][k][2]});
    }
  }
  return total_K;
}

std::vector<DimensionStatistics> statistics(const Profile& profile) {
  const bool merged = profile.moments_K.size() == static_cast<size_t>(profile.self_influence_NK.size(1));
  const std::vector<Moments> moments_K = merged ? profile.moments_K : merged_moments(profile.self_influence_NK, *dist::make_single());
  std::vector<DimensionStatistics> result;
  for (int64_t k = 0; k < profile.self_influence_NK.size(1); ++k) {
    std::vector<double> values = finite_column(profile.self_influence_NK, k);
    const Moments& moments = moments_K[static_cast<size_t>(k)];
    DimensionStatistics s{.count = moments.count, .mean = moments.mean, .standard_deviation = moments.standard_deviation(), .quantiles = {}};
    std::sort(values.begin(), values.end());
    for (const double q : kQuantiles) {
      const double position = q * static_cast<double>(values.empty() ? 0 : values.size() - 1);
      const auto low = static_cast<size_t>(position);
      const size_t high = std::min(low + 1, values.empty() ? 0 : values.size() - 1);
      s.quantiles.push_back(values.empty() ? kNan : values[low] + (position - static_cast<double>(low)) * (values[high] - values[low]));
    }
    result.push_back(std::move(s));
  }
  return result;
}

LossSimilarity loss_similarity(const Profile& profile, double alpha_percent) {
  LossSimilarity similarity;
  const auto norms = finite_column(profile.feature_sq_norm_N.unsqueeze(1), 0);
  if (!norms.empty()) {
    Moments moments;
    for (const double x : norms) moments.add(x);
    similarity.feature_sq_norm_cv = moments.mean > 0 ? moments.standard_deviation() / moments.mean : kNan;
  }
  const at::Tensor loss_NK = profile.residual_NK.to(at::kDouble).square();
  for (int64_t k = 0; k < loss_NK.size(1); ++k) {
    const auto risk = finite_column(profile.self_influence_NK, k), loss = finite_column(loss_NK, k);
    const bool comparable = risk.size() == loss.size() && risk.size() > 1;
    similarity.spearman_K.push_back(comparable ? rank_correlation(risk, loss) : kNan);
    similarity.jaccard_K.push_back(comparable ? jaccard_of_top(risk, loss, alpha_percent) : kNan);
  }
  return similarity;
}

core::Tensor dimension_correlations(const Profile& profile) {
  const at::Tensor risk_NK = profile.self_influence_NK.to(at::kDouble);
  const int64_t dimensions = risk_NK.size(1);
  at::Tensor result = at::eye(dimensions, at::kDouble);
  for (int64_t j = 0; j < dimensions; ++j) {
    for (int64_t k = j; k < dimensions; ++k) {
      const at::Tensor rows = (risk_NK.select(1, j).isfinite() & risk_NK.select(1, k).isfinite()).nonzero().flatten();
      const auto a = finite_column(risk_NK.index_select(0, rows), j), b = finite_column(risk_NK.index_select(0, rows), k);
      const double value = a.size() > 1 ? rank_correlation(a, b) : kNan;
      result[j][k] = value;
      result[k][j] = value;
    }
  }
  return result;
}

}  // namespace mvrm::influence
