// SPDX-License-Identifier: Apache-2.0
#include <mvrm/core/error.h>
#include <mvrm/eval/rank_correlation.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "column_correlation.h"
#include "tail_probability.h"

namespace mvrm::eval {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr Correlation kUndefined{kNan, kNan};

bool defined(const std::vector<double>& a, const std::vector<double>& b) {
  MVRM_CHECK(a.size() == b.size(), "a correlation of ", a.size(), " against ", b.size(), " values");
  const auto is_nan = [](double x) { return std::isnan(x); };
  return a.size() >= 2 && std::none_of(a.begin(), a.end(), is_nan) && std::none_of(b.begin(), b.end(), is_nan);
}

// Deviations from the mean, scaled to a length of 1. Dividing by the largest first keeps squares of 1e300 finite.
std::vector<double> unit_deviations(std::vector<double> values) {
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  double largest = 0, squares = 0;
  for (double& x : values) largest = std::max(largest, std::abs(x -= mean));
  for (const double x : values) squares += (x / largest) * (x / largest);
  const double length = largest * std::sqrt(squares);
  for (double& x : values) x /= length;
  return values;
}

// Counts per group, with a running sum in O(log groups): a Fenwick tree.
class GroupCounts {
 public:
  explicit GroupCounts(size_t groups) : sums_(groups + 1, 0) {}
  void add(size_t group) {
    ++total_;
    for (size_t i = group + 1; i < sums_.size(); i += i & (~i + 1)) ++sums_[i];
  }
  int64_t above(size_t group) const {
    int64_t up_to = 0;
    for (size_t i = group + 1; i > 0; i -= i & (~i + 1)) up_to += sums_[i];
    return total_ - up_to;
  }

 private:
  std::vector<int64_t> sums_;
  int64_t total_ = 0;
};

struct TieSums {
  double pairs = 0, triples = 0, spread = 0;  // over groups of w: w(w-1)/2, w(w-1)(w-2), w(w-1)(2w+5)
  void add(double w) {
    pairs += w * (w - 1) / 2;
    triples += w * (w - 1) * (w - 2);
    spread += w * (w - 1) * (2 * w + 5);
  }
};

TieSums ties_of(const RankedColumn& column) {
  TieSums ties;
  for (size_t g = 0; g < column.groups(); ++g) ties.add(static_cast<double>(column.begin[g + 1] - column.begin[g]));
  return ties;
}

struct PairCounts {
  int64_t discordant = 0;
  double tied_in_both = 0;
};

// Knight's method: rows in the order of `a`; a pair is discordant when an earlier row of a lower group stands higher in `b`.
PairCounts count_pairs(const RankedColumn& a, const RankedColumn& b) {
  PairCounts counts;
  GroupCounts seen(b.groups());
  std::vector<uint32_t> within;
  for (size_t g = 0; g < a.groups(); ++g) {
    within.clear();
    for (uint32_t i = a.begin[g]; i < a.begin[g + 1]; ++i) within.push_back(b.group_of[a.order[i]]);
    for (const uint32_t group : within) counts.discordant += seen.above(group);
    for (const uint32_t group : within) seen.add(group);
    if (within.size() == 1) continue;
    std::sort(within.begin(), within.end());
    for (size_t i = 0, run = 0; i < within.size(); ++i) {
      run = i > 0 && within[i] == within[i - 1] ? run + 1 : 0;
      counts.tied_in_both += static_cast<double>(run);
    }
  }
  return counts;
}

}  // namespace

std::vector<double> average_ranks(const std::vector<double>& values) {
  const RankedColumn column = rank_column(values);
  std::vector<double> ranks(values.size());
  for (size_t n = 0; n < ranks.size(); ++n) {
    const uint32_t g = column.group_of[n];
    ranks[n] = 0.5 * (static_cast<double>(column.begin[g]) + static_cast<double>(column.begin[g + 1]) + 1);
  }
  return ranks;
}

Correlation spearman(const RankedColumn& a, const RankedColumn& b) {
  const auto n = static_cast<double>(a.order.size());
  const std::vector<double> rank_a = doubled_centred_ranks(a), rank_b = doubled_centred_ranks(b);
  double aa = 0, bb = 0, ab = 0;
  for (size_t g = 0; g < a.groups(); ++g) aa += (a.begin[g + 1] - a.begin[g]) * rank_a[g] * rank_a[g];
  for (size_t g = 0; g < b.groups(); ++g) bb += (b.begin[g + 1] - b.begin[g]) * rank_b[g] * rank_b[g];
  for (size_t i = 0; i < a.group_of.size(); ++i) ab += rank_a[a.group_of[i]] * rank_b[b.group_of[i]];
  if (aa == 0 || bb == 0) return kUndefined;
  // One root of the product: equal ranks give aa = bb and therefore exactly 1, as in SciPy.
  const double r = std::clamp(ab / std::sqrt(aa * bb), -1.0, 1.0);
  return {r, n < 3 ? kNan : correlation_p(r, n)};
}

// Tied pairs leave numerator and denominator (tau-b); p exact where SciPy's automatic choice is, else by the normal approximation.
Correlation kendall(const RankedColumn& a, const RankedColumn& b) {
  const auto n = static_cast<double>(a.order.size());
  const double all = n * (n - 1) / 2;
  const TieSums ties_a = ties_of(a), ties_b = ties_of(b);
  if (ties_a.pairs == all || ties_b.pairs == all) return kUndefined;
  const PairCounts counts = a.groups() < b.groups() ? count_pairs(b, a) : count_pairs(a, b);
  const double excess = all - ties_a.pairs - ties_b.pairs + counts.tied_in_both - 2 * static_cast<double>(counts.discordant);
  const double tau = std::clamp(excess / std::sqrt(all - ties_a.pairs) / std::sqrt(all - ties_b.pairs), -1.0, 1.0);
  const auto least = std::min(static_cast<double>(counts.discordant), all - static_cast<double>(counts.discordant));
  if (ties_a.pairs == 0 && ties_b.pairs == 0 && (n <= 33 || least <= 1)) {
    return {tau, kendall_exact_p(static_cast<int64_t>(n), counts.discordant)};
  }
  const double m = n * (n - 1);
  const double variance = (m * (2 * n + 5) - ties_a.spread - ties_b.spread) / 18 + 2 * ties_a.pairs * ties_b.pairs / m +
                          ties_a.triples * ties_b.triples / (9 * m * (n - 2));
  return {tau, normal_p(excess / std::sqrt(variance))};
}

Correlation spearman(const std::vector<double>& a, const std::vector<double>& b) {
  return defined(a, b) ? spearman(rank_column(a), rank_column(b)) : kUndefined;
}

Correlation kendall(const std::vector<double>& a, const std::vector<double>& b) {
  return defined(a, b) ? kendall(rank_column(a), rank_column(b)) : kUndefined;
}

Correlation pearson(const std::vector<double>& a, const std::vector<double>& b) {
  const auto constant = [](const std::vector<double>& values) { return std::equal(values.begin() + 1, values.end(), values.begin()); };
  if (!defined(a, b) || constant(a) || constant(b)) return kUndefined;
  const std::vector<double> x = unit_deviations(a), y = unit_deviations(b);
  const double r = std::clamp(std::inner_product(x.begin(), x.end(), y.begin(), 0.0), -1.0, 1.0);
  if (std::isnan(r)) return kUndefined;
  return x.size() == 2 ? Correlation{std::round(r), 1} : Correlation{r, correlation_p(r, static_cast<double>(x.size()))};
}

}  // namespace mvrm::eval
