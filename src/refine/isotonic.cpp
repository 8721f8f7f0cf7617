// SPDX-License-Identifier: Apache-2.0
#include <mvrm/core/error.h>
#include <mvrm/refine/calibration.h>
#include <algorithm>
#include <numeric>

namespace mvrm::refine {

namespace {

struct Block {
  double start, sum;
  int64_t count;
  double mean() const { return sum / static_cast<double>(count); }
};

void join_last_two(std::vector<Block>& blocks) {
  const Block last = blocks.back();
  blocks.pop_back();
  blocks.back().sum += last.sum;
  blocks.back().count += last.count;
}

}  // namespace

IsotonicFit fit_isotonic(const std::vector<double>& x, const std::vector<double>& y, int64_t least) {
  MVRM_CHECK(x.size() == y.size() && !x.empty(), x.size(), " places for ", y.size(), " values");
  std::vector<size_t> order(x.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return x[a] < x[b]; });
  std::vector<Block> blocks;
  for (size_t i = 0; i < order.size();) {
    Block block{.start = x[order[i]], .sum = 0, .count = 0};
    for (; i < order.size() && x[order[i]] == block.start; ++i, ++block.count) block.sum += y[order[i]];
    blocks.push_back(block);
    while (blocks.size() > 1 && blocks[blocks.size() - 2].mean() >= blocks.back().mean()) join_last_two(blocks);
  }
  // A few points at either end would make a block that is sure of itself. Joining neighbours keeps the order of the means.
  std::vector<Block> wide;
  for (const auto& block : blocks) {
    if (!wide.empty() && wide.back().count < least) {
      wide.back().sum += block.sum;
      wide.back().count += block.count;
    } else {
      wide.push_back(block);
    }
  }
  while (wide.size() > 1 && wide.back().count < least) join_last_two(wide);
  IsotonicFit fit;
  for (const auto& block : wide) {
    fit.start.push_back(block.start);
    fit.value.push_back(block.mean());
    fit.count.push_back(block.count);
  }
  return fit;
}

double IsotonicFit::at(double x) const {
  const auto above = std::upper_bound(start.begin(), start.end(), x);
  return value[above == start.begin() ? 0 : static_cast<size_t>(above - start.begin()) - 1];
}

}  // namespace mvrm::refine
