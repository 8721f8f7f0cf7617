// SPDX-License-Identifier: Apache-2.0
// The bootstrap: resample b is a vector of counts per row, a pure function of (seed, b), so results do not depend on threads.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "ranked_column.h"

namespace mvrm::eval {

// One byte a row keeps a resample in the first-level cache. A count above 255 does not occur: below 256 rows it can't, above it has a
// probability of less than 1e-500.
using RowCounts = std::vector<uint8_t>;

// Calls work(b, counts) for every resample b in [0, resamples) of `rows` rows, on up to `threads` threads; `work` must be safe to call
// from several threads with different b.
void for_each_resample(size_t rows, int64_t resamples, uint64_t seed, int64_t threads,
                       const std::function<void(int64_t, const RowCounts&)>& work);

// Spearman's correlation of two columns under the counts of a resample, in O(rows): the sorting was done once. Thread-safe.
class ResampledSpearman {
 public:
  // rows_of[i]: row of the resampled table that element i of both columns belongs to.
  ResampledSpearman(const RankedColumn& a, const RankedColumn& b, const std::vector<uint32_t>& rows_of, size_t table_rows);
  double operator()(const RowCounts& counts) const;  // NaN where a column is constant in the resample

 private:
  std::vector<uint32_t> row_, group_b_;  // in the order of column a
  std::vector<uint32_t> begin_a_;
  size_t groups_b_;
  bool every_row_;  // the columns cover the table: no need to add up the counts
};

// 95 % percentile interval, linear between order statistics as numpy.percentile; NaN values are left out, NaN of no values.
std::pair<double, double> interval(std::vector<double> values);
double mean_defined(std::span<const double> values);  // NaN values are left out

}  // namespace mvrm::eval
