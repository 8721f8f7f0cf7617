// SPDX-License-Identifier: Apache-2.0
// Sums of gradients in an order that depends neither on threads nor on the number of ranks (spec/training.md 3.4).
// The micro-batches of a step are slots 0..S-1. Their sum is a binary tree over the bits of the slot number, highest bit first. On N ranks,
// N a power of two, each rank holds a part of that same tree, in one of two ways:
// interleaved: rank r has slots r, r+N, …: a rank sums its own slots first, then the ranks' sums are added: once a step.
// blocks: rank r has P/N slots that follow each other (P = S rounded up to a power of two): the ranks' n-th slots are added first, then
// those sums: once a micro-batch, and a rank never holds more than its own part of the gradients.
#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <mvrm/dist/communicator.h>
#include <mvrm/train/engine.h>
#include <utility>
#include <vector>

namespace mvrm::train {

enum class SlotOrder { interleaved, blocks };

// The tree over one rank's slots. Leaves may arrive from several threads and in any order.
class TreeSum {
 public:
  TreeSum(int64_t slots, int64_t rank, int64_t ranks, SlotOrder order = SlotOrder::interleaved);
  // Leaves of this rank: 0 .. count()-1. With blocks it is the same number on every rank.
  int64_t count() const { return count_; }
  int64_t slot_of(int64_t leaf) const { return first_ + leaf * stride_; }   // with blocks it may lie beyond the last slot: an empty leaf
  // The order in which few partial sums are alive: leaf number to compute at position p = 0 .. count()-1.
  int64_t leaf_at(int64_t position) const { return order_[static_cast<size_t>(position)]; }
  void add(int64_t leaf, Gradients gradients);
  // The sum of all leaves; `empty` when this rank has none.
  Gradients take(Gradients empty);

 private:
  bool has_leaf(int64_t level, int64_t index) const;   // does the subtree hold any leaf of this rank
  int64_t reversed(int64_t leaf) const;
  int64_t bits_ = 0, count_ = 0, first_ = 0, stride_ = 1;
  std::vector<int64_t> order_;
  std::mutex mutex_;
  std::map<std::pair<int64_t, int64_t>, Gradients> partial_;   // (level, index) -> sum of a finished subtree
};

// Sum over ranks of `flat`; rank r gets part r of size() equal parts. Ordered: the rank levels of the same tree (N a power of two; else
// rank order). Fast: the backend's own order.
core::Tensor reduce_scatter(const core::Tensor& flat, bool ordered, dist::Communicator& comm);

// The same in two halves, so that other work fits between. `flat` must not change before the second.
class PendingSum {
 public:
  PendingSum(const core::Tensor& flat, bool ordered, dist::Communicator& comm);
  core::Tensor take();

 private:
  bool ordered_;
  int64_t ranks_;
  core::Tensor flat_, received_;
  dist::Ticket arrived_;
};

}  // namespace mvrm::train
