// SPDX-License-Identifier: Apache-2.0
#include "ranked_column.h"

#include <algorithm>
#include <array>
#include <bit>
#include <mvrm/core/error.h>

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

constexpr int kDigitBits = 11, kDigits = 6;
constexpr size_t kBuckets = size_t{1} << kDigitBits;
constexpr size_t digit_of(uint64_t key, int digit) { return (key >> (digit * kDigitBits)) & (kBuckets - 1); }

// Least significant digit first; a digit that all keys share costs nothing, and labels and float32 values share most of them.
void radix_sort(std::vector<Item>& items) {
  std::vector<std::array<uint32_t, kBuckets>> histogram(kDigits);
  for (const Item& item : items) {
    for (int digit = 0; digit < kDigits; ++digit) ++histogram[static_cast<size_t>(digit)][digit_of(item.key, digit)];
  }
  std::vector<Item> other(items.size());
  for (int digit = 0; digit < kDigits; ++digit) {
    auto& start = histogram[static_cast<size_t>(digit)];
    if (start[digit_of(items.front().key, digit)] == items.size()) continue;
    uint32_t sum = 0;
    for (auto& bucket : start) sum += std::exchange(bucket, sum);
    for (const Item& item : items) other[start[digit_of(item.key, digit)]++] = item;
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
