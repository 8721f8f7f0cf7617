// SPDX-License-Identifier: Apache-2.0
#include "resampling.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <limits>
#include <mvrm/core/random.h>
#include <mutex>
#include <thread>

namespace mvrm::eval {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void draw(uint64_t seed, int64_t b, RowCounts& counts) {
  core::CounterRng rng(seed, core::combine64(core::hash64("bootstrap"), static_cast<uint64_t>(b)));
  std::fill(counts.begin(), counts.end(), uint8_t{0});
  const auto rows = static_cast<int64_t>(counts.size());
  for (int64_t i = 0; i < rows; ++i) ++counts[static_cast<size_t>(rng.below(rows))];
}

// Sum over groups of w (N - w) (N + w): a third of it is the sum of squared doubled centred ranks. Every term is positive.
double tie_term(double w, double total) { return w * (total - w) * (total + w); }

}  // namespace

void for_each_resample(size_t rows, int64_t resamples, uint64_t seed, int64_t threads,
                       const std::function<void(int64_t, const RowCounts&)>& work) {
  std::atomic<int64_t> next = 0;
  std::exception_ptr failure;
  std::mutex mutex;
  const auto loop = [&] {
    try {
      RowCounts counts(rows);
      for (int64_t b = next++; b < resamples; b = next++) {
        draw(seed, b, counts);
        work(b, counts);
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  };
  std::vector<std::jthread> helpers;
  for (int64_t t = 1; t < std::min(threads, resamples); ++t) helpers.emplace_back(loop);
  loop();
  helpers.clear();
  if (failure) std::rethrow_exception(failure);
}

ResampledSpearman::ResampledSpearman(const RankedColumn& a, const RankedColumn& b, const std::vector<uint32_t>& rows_of, size_t table_rows)
    : begin_a_(a.begin), groups_b_(b.groups()), every_row_(rows_of.size() == table_rows) {
  for (const uint32_t element : a.order) {
    row_.push_back(rows_of[element]);
    group_b_.push_back(b.group_of[element]);
  }
}

double ResampledSpearman::operator()(const RowCounts& counts) const {
  int64_t total = static_cast<int64_t>(counts.size());
  if (!every_row_) {
    total = 0;
    for (const uint32_t row : row_) total += counts[row];
  }
  const auto total_real = static_cast<double>(total);
  // Of each group of b: its count, and the sum of its rows' doubled centred ranks in a. Integers, so exact.
  struct Group {
    int64_t weight = 0, rank_sum = 0;
  };
  std::vector<Group> groups(groups_b_);
  double aa = 0, bb = 0, ab = 0;
  int64_t below = 0, singles = 0, single_cubes = 0;
  for (size_t g = 0; g + 1 < begin_a_.size(); ++g) {
    const size_t begin = begin_a_[g], end = begin_a_[g + 1];
    int64_t weight = 0;
    for (size_t i = begin; i < end; ++i) weight += counts[row_[i]];
    const int64_t rank = 2 * below + weight - total;
    below += weight;
    for (size_t i = begin; i < end; ++i) {
      const int64_t count = counts[row_[i]];
      Group& group = groups[group_b_[i]];
      group.weight += count;
      group.rank_sum += count * rank;
    }
    if (end - begin == 1) {
      singles += weight;
      single_cubes += weight * weight * weight;
    } else {
      aa += tie_term(static_cast<double>(weight), total_real);
    }
  }
  aa += total_real * total_real * static_cast<double>(singles) - static_cast<double>(single_cubes);
  int64_t below_b = 0;
  for (const Group& group : groups) {
    bb += tie_term(static_cast<double>(group.weight), total_real);
    ab += static_cast<double>(group.rank_sum) * static_cast<double>(2 * below_b + group.weight - total);
    below_b += group.weight;
  }
  return aa > 0 && bb > 0 ? 3 * ab / std::sqrt(aa * bb) : kNan;
}

std::pair<double, double> interval(std::vector<double> values) {
  std::erase_if(values, [](double x) { return std::isnan(x); });
  if (values.empty()) return {kNan, kNan};
  std::sort(values.begin(), values.end());
  const auto at = [&](double q) {
    const double position = q * static_cast<double>(values.size() - 1);
    const auto low = static_cast<size_t>(position);
    const size_t high = std::min(low + 1, values.size() - 1);
    return values[low] + (position - static_cast<double>(low)) * (values[high] - values[low]);
  };
  return {at(0.025), at(0.975)};
}

double mean_defined(std::span<const double> values) {
  double sum = 0;
  int64_t count = 0;
  for (const double x : values) {
    if (std::isnan(x)) continue;
    sum += x;
    ++count;
  }
  return count > 0 ? sum / static_cast<double>(count) : kNan;
}

}  // namespace mvrm::eval
