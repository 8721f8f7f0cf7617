// SPDX-License-Identifier: Apache-2.0
#include "dealing.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <atomic>
#include <bit>
#include <numeric>

namespace mvrm::train {

namespace {

struct Slot {
  std::vector<int64_t> samples;
  double cost = 0;
};

class Dealer {
 public:
  Dealer(const std::vector<Slot>& slots, int64_t group) : slots_(slots), group_(group), result_(slots.size()) {}

  // `items`: slots by falling cost, for the places first, first + stride, ….
  void place(const std::vector<size_t>& items, size_t first, size_t stride) {
    if (static_cast<int64_t>(items.size()) <= group_) {
      // Bits reversed: the closest neighbours differ in the highest bit, for worlds smaller than a group.
      const size_t width = static_cast<size_t>(std::bit_width(std::bit_ceil(items.size()))) - 1;
      size_t place = 0;
      for (size_t i = 0; i < size_t{1} << width; ++i) {
        size_t reversed = 0;
        for (size_t bit = 0; bit < width; ++bit) reversed |= ((i >> bit) & 1) << (width - 1 - bit);
        if (reversed < items.size()) result_[first + place++ * stride] = items[reversed];
      }
      return;
    }
    std::vector<size_t> half[2];
    const size_t room[2] = {(items.size() + 1) / 2, items.size() / 2};
    double load[2] = {0, 0};
    for (size_t next = 0; next < items.size();) {   // the costliest group left to the side that has less
      int side = load[1] < load[0] ? 1 : 0;
      if (half[side].size() == room[side]) side = 1 - side;
      const size_t count = std::min({static_cast<size_t>(group_), items.size() - next, room[side] - half[side].size()});
      for (size_t i = 0; i < count; ++i, ++next) {
        half[side].push_back(items[next]);
        load[side] += slots_[items[next]].cost;
      }
    }
    place(half[0], first, 2 * stride);
    place(half[1], first + stride, 2 * stride);
  }
  const std::vector<size_t>& result() const { return result_; }

 private:
  const std::vector<Slot>& slots_;
  int64_t group_;
  std::vector<size_t> result_;
};

}  // namespace

std::vector<int64_t> dealt(const std::vector<int64_t>& samples, const std::vector<double>& cost_N, int64_t micro_batch, int64_t group) {
  const auto cost = [&](int64_t sample) { return cost_N[static_cast<size_t>(sample)]; };
  std::vector<int64_t> falling = samples;
  std::stable_sort(falling.begin(), falling.end(), [&](int64_t a, int64_t b) { return cost(a) > cost(b); });
  const auto [least, most] = std::minmax_element(falling.begin(), falling.end(), [&](int64_t a, int64_t b) { return cost(a) < cost(b); });
  if (falling.empty() || cost(*least) == cost(*most)) return samples;
  // A short micro-batch can only be the last slot's: it takes the cheapest samples, and the last place.
  const auto count = static_cast<int64_t>(samples.size()), full = count / micro_batch;
  std::vector<Slot> slots(static_cast<size_t>(full));
  for (int64_t i = 0; i < full * micro_batch; ++i) {
    Slot& slot = slots[static_cast<size_t>(i / micro_batch)];
    slot.samples.push_back(falling[static_cast<size_t>(i)]);
    slot.cost += cost(falling[static_cast<size_t>(i)]);
  }
  Dealer dealer(slots, group);
  std::vector<size_t> all(slots.size());
  std::iota(all.begin(), all.end(), size_t{0});
  dealer.place(all, 0, 1);
  std::vector<int64_t> order;
  for (const size_t slot : dealer.result()) order.insert(order.end(), slots[slot].samples.begin(), slots[slot].samples.end());
  order.insert(order.end(), falling.begin() + full * micro_batch, falling.end());
  return order;
}

std::vector<double> costs(const Samples& samples, dist::Communicator& comm, WorkerPool& pool) {
  const auto count = static_cast<int64_t>(samples.ids.size());
  at::Tensor cost_N = at::zeros({count}, at::kDouble);
  double* to = cost_N.mutable_data_ptr<double>();
  std::atomic<int64_t> next{comm.rank()};
  pool.run([&] {
    for (int64_t n = next.fetch_add(comm.size()); n < count; n = next.fetch_add(comm.size())) to[n] = samples.cost(n);
  });
  comm.all_reduce_sum(cost_N);
  return {cost_N.const_data_ptr<double>(), cost_N.const_data_ptr<double>() + count};
}

}  // namespace mvrm::train
