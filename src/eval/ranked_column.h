// SPDX-License-Identifier: Apache-2.0
// A column of numbers sorted once, by groups of equal values: what every rank statistic of this stage starts from.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace mvrm::eval {

struct RankedColumn {
  std::vector<uint32_t> order;     // rows by rising value; the order within a group is that of the rows
  std::vector<uint32_t> begin;     // where each group starts in `order`; one more element, the number of rows, closes the last
  std::vector<uint32_t> group_of;  // of each row
  size_t groups() const { return begin.size() - 1; }
};
// O(n). No NaN (checked by the caller); -0 equals 0, infinities are values like others. Fewer than 2^32 rows.
RankedColumn rank_column(std::span<const double> values);

// Twice the average rank of each group minus (n + 1): an integer, of mean 0 over the rows.
std::vector<double> doubled_centred_ranks(const RankedColumn& column);

}  // namespace mvrm::eval
