// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <mvrm/core/error.h>
#include <mvrm/experiment/paired.h>

namespace mvrm::experiment {

double t_quantile(int64_t freedom) {
  MVRM_CHECK(freedom >= 1, "degrees of freedom: ", freedom);
  // Exact for 1 and 2; beyond that the table of scipy.stats.t.ppf(0.975, n), then the first terms of its expansion around the normal's.
  static constexpr double kQuantile[] = {12.706204736432095, 4.302652729911275, 3.182446305284263, 2.776445105197793, 2.570581835636314,
                                         2.446911851144969, 2.364624251592784, 2.306004135204166, 2.262157162740992, 2.228138851986274};
  if (freedom <= 10) return kQuantile[freedom - 1];
  const double z = 1.959963984540054, z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z, v = static_cast<double>(freedom);
  return z + (z3 + z) / (4 * v) + (5 * z5 + 16 * z3 + 3 * z) / (96 * v * v) + (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * v * v * v);
}

Summary summarise(const std::vector<double>& values) {
  MVRM_CHECK(!values.empty(), "no values to summarise");
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const auto count = static_cast<double>(values.size());
  Summary summary{.mean = 0, .std = kNan, .low = kNan, .high = kNan, .n = static_cast<int64_t>(values.size())};
  for (const double x : values) summary.mean += x / count;
  if (values.size() < 2) return summary;
  double squares = 0;
  for (const double x : values) squares += (x - summary.mean) * (x - summary.mean);
  summary.std = std::sqrt(squares / (count - 1));
  const double half = t_quantile(summary.n - 1) * summary.std / std::sqrt(count);
  summary.low = summary.mean - half;
  summary.high = summary.mean + half;
  return summary;
}

Summary paired_difference(const std::vector<double>& a, const std::vector<double>& b) {
  MVRM_CHECK(a.size() == b.size(), a.size(), " values against ", b.size());
  std::vector<double> difference(a.size());
  std::transform(a.begin(), a.end(), b.begin(), difference.begin(), std::minus<>());
  return summarise(difference);
}

std::string verdict(const Summary& difference) {
  if (std::isnan(difference.low)) return "one seed: no interval";
  return difference.low > 0 ? "helps" : difference.high < 0 ? "hurts" : "no difference shown";
}

}  // namespace mvrm::experiment
