// SPDX-License-Identifier: Apache-2.0
// What several seeds say together. Intervals are Student's t at 95 %; a single value has none (NaN bounds).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace mvrm::experiment {

struct Summary {
  double mean = 0, std = 0;      // std: sample standard deviation, n - 1; NaN for n = 1
  double low = 0, high = 0;      // 95 % interval of the mean; NaN for n = 1
  int64_t n = 0;
};
// n >= 1; NaN values make everything NaN.
Summary summarise(const std::vector<double>& values);
// Of a - b, paired by position.
Summary paired_difference(const std::vector<double>& a, const std::vector<double>& b);
// "helps", "hurts" or "no difference shown", by whether 0 lies in the interval; says so when there is no interval.
std::string verdict(const Summary& difference);
// Two-sided 97.5 % quantile of Student's t; `freedom` >= 1.
double t_quantile(int64_t freedom);

}  // namespace mvrm::experiment
