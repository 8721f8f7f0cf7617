// SPDX-License-Identifier: Apache-2.0
// Two-sided p-values of correlation coefficients.
#pragma once
#include <cstdint>

namespace mvrm::eval {

// Of a correlation r of n values when there is none: Student's t with n - 2 degrees of freedom. n > 2, |r| <= 1.
double correlation_p(double r, double n);
double normal_p(double z);
// Exact distribution of Kendall's discordant pairs among n values without ties; for n <= 33, or at most one discordant or one concordant.
double kendall_exact_p(int64_t n, int64_t discordant);

}  // namespace mvrm::eval
