// SPDX-License-Identifier: Apache-2.0
// Sums of gradients in an order that depends neither on threads nor on the number of ranks (spec/training.md 3.4).
// The micro-batches of a step are slots 0..S-1; rank r of N computes slots r, r+N, …. The sum is a binary tree over the bits of the slot
// number, highest bit first: a rank's own slots are summed before anything is sent, and every power-of-two N builds the same tree.
#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <mvrm/dist/communicator.h>
#include <mvrm/train/engine.h>
#include <utility>
#include <vector>

namespace mvrm::train {

// The tree over one rank's slots. Leaves may arrive from several threads and in any order.
class TreeSum {
 public:
  // `slots` = slots of the whole step; the leaves of this rank are i = 0 .. count()-1 with slot = rank + i * ranks.
  TreeSum(int64_t slots, int64_t rank, int64_t ranks);
  int64_t count() const { return count_; }
  // The order in which few partial sums are alive: leaf number to compute at position p = 0 .. count()-1.
  int64_t leaf_at(int64_t position) const { return order_[static_cast<size_t>(position)]; }
  void add(int64_t leaf, Gradients gradients);
  // The sum of all leaves; `empty` when this rank has none.
  Gradients take(Gradients empty);

 private:
  bool has_leaf(int64_t level, int64_t index) const;   // does the subtree hold any leaf of this rank
  int64_t reversed(int64_t leaf) const;
  int64_t bits_ = 0, count_ = 0;
  std::vector<int64_t> order_;
  std::mutex mutex_;
  std::map<std::pair<int64_t, int64_t>, Gradients> partial_;   // (level, index) -> sum of a finished subtree
};

// Sum over ranks of `flat`; rank r gets part r of size() equal parts. Ordered: the upper levels of the same tree (N a power of two; else
// rank order). Fast: the backend's own order.
core::Tensor reduce_scatter(const core::Tensor& flat, bool ordered, dist::Communicator& comm);

}  // namespace mvrm::train
