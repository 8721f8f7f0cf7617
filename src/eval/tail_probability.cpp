// SPDX-License-Identifier: Apache-2.0
#include "tail_probability.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

namespace mvrm::eval {

namespace {

// Continued fraction of the incomplete beta function (modified Lentz), Numerical Recipes 6.4.
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  d = 1 / (std::abs(d) < kTiny ? kTiny : d);
  double h = d;
  for (int m = 1; m <= 10000; ++m) {
    const double m2 = 2.0 * m;
    for (const double numerator : {m * (b - m) * x / ((a + m2 - 1) * (a + m2)), -(a + m) * (a + b + m) * x / ((a + m2) * (a + m2 + 1))}) {
      d = 1 + numerator * d;
      d = 1 / (std::abs(d) < kTiny ? kTiny : d);
      c = 1 + numerator / c;
      if (std::abs(c) < kTiny) c = kTiny;
      h *= d * c;
    }
    if (std::abs(d * c - 1) < 1e-16) break;
  }
  return h;
}

// lgamma writes a global (signgam) in glibc; the reentrant one serves threads.
double log_gamma(double x) {
  int sign = 0;
  return ::lgamma_r(x, &sign);
}

// Regularised incomplete beta function I_x(a, b).
double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front = std::exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * std::log(x) + b * std::log1p(-x));
  return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

}  // namespace

// freedom / (freedom + t^2) is 1 - r^2.
double correlation_p(double r, double n) { return incomplete_beta((n - 2) / 2, 0.5, (1 - r) * (1 + r)); }

double normal_p(double z) { return std::erfc(std::abs(z) / std::numbers::sqrt2); }

double kendall_exact_p(int64_t n, int64_t discordant) {
  const int64_t pairs = n * (n - 1) / 2, c = std::min(discordant, pairs - discordant);
  const auto log_factorial = [](int64_t m) { return log_gamma(static_cast<double>(m) + 1); };
  if (n <= 2 || 2 * c == pairs) return 1;
  if (n > 33) return 2 * std::exp(-log_factorial(c == 0 ? n : n - 1));  // one order has no inversion, n - 1 orders have one: n in all
  // Orders of j values with i inversions: a sliding sum of those of j - 1 values.
  std::vector<double> orders(static_cast<size_t>(c) + 1, 0.0);
  orders[0] = 1;
  double factorial = 1;
  for (int64_t j = 2; j <= n; ++j) {
    std::vector<double> next(orders.size());
    double sum = 0;
    for (int64_t i = 0; i <= c; ++i) {
      sum += orders[static_cast<size_t>(i)];
      if (i >= j) sum -= orders[static_cast<size_t>(i - j)];
      next[static_cast<size_t>(i)] = sum;
    }
    orders.swap(next);
    factorial *= static_cast<double>(j);
  }
  return std::min(1.0, 2 * std::accumulate(orders.begin(), orders.end(), 0.0) / factorial);
}

}  // namespace mvrm::eval
