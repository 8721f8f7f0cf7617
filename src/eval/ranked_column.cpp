// SPDX-License-Identifier: Apache-2.0
#include "ranked_column.h"

#include <algorithm>
#include <bit>
#include <mvrm/core/error.h>
#include <utility>

namespace mvrm::eval {

namespace {

struct Item {
  uint64_t key;
  uint32_t row;
};

// Order of doubles as order of unsigned integers.
uint64_t key_of(double value) {
  const auto bits = std::bit_cast<uint64_t>(value + 0.0);  // -0 becomes 0
  return (bits >> 63) != 0 ? ~bits : bits | (uint64_t{1} << 63);
}

// Where the keys of a column differ: labels and float32 values share most of their 64 bits, so few digits remain to sort by.
struct Digits {
  int low = 0, bits = 11, count = 0;
  size_t buckets() const { return size_t{1} << bits; }
  size_t of(uint64_t key, int digit) const { return (key >> (low + digit * bits)) & (buckets() - 1); }
};

Digits digits_of(const std::vector<Item>& items) {
  uint64_t differing = 0;
  for (const Item& item : items) differing |= item.key ^ items.front().key;
  Digits digits;
  if (differing == 0) return digits;
  digits.low = std::countr_zero(differing);
  const int width = 64 - std::countl_zero(differing) - digits.low;
  digits.count = (width + digits.bits - 1) / digits.bits;
  digits.bits = (width + digits.count - 1) / digits.count;
  return digits;
}

// Least significant digit first.
void radix_sort(std::vector<Item>& items) {
  const Digits digits = digits_of(items);
  std::vector<Item> other(items.size());
  std::vector<uint32_t> start;
  for (int digit = 0; digit < digits.count; ++digit) {
    start.assign(digits.buckets(), 0);
    for (const Item& item : items) ++start[digits.of(item.key, digit)];
    uint32_t sum = 0;
    for (auto& bucket : start) sum += std::exchange(bucket, sum);
    for (const Item& item : items) other[start[digits.of(item.key, digit)]++] = item;
    items.swap(other);
  }
}

}  // namespace

RankedColumn rank_column(std::span<const double> values) {
  MVRM_CHECK(values.size() < UINT32_MAX, "a column of ", values.size(), " rows");
  std::vector<Item> items(values.size());
  for (size_t n = 0; n < values.size(); ++n) items[n] = {key_of(values[n]), static_cast<uint32_t>(n)};
  constexpr size_t kWorthHistograms = 1500;
  if (items.size() >= kWorthHistograms) {
    radix_sort(items);
  } else {
    std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.key < b.key; });
  }
  RankedColumn column;
  column.order.resize(items.size());
  column.group_of.resize(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    if (i == 0 || items[i].key != items[i - 1].key) column.begin.push_back(static_cast<uint32_t>(i));
    column.order[i] = items[i].row;
    column.group_of[items[i].row] = static_cast<uint32_t>(column.begin.size() - 1);
  }
  column.begin.push_back(static_cast<uint32_t>(items.size()));
  return column;
}

std::vector<double> doubled_centred_ranks(const RankedColumn& column) {
  std::vector<double> rank(column.groups());
  const auto n = static_cast<double>(column.order.size());
  for (size_t g = 0; g < rank.size(); ++g) rank[g] = static_cast<double>(column.begin[g]) + static_cast<double>(column.begin[g + 1]) - n;
  return rank;
}

}  // namespace mvrm::eval
