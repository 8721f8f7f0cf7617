// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <algorithm>
#include <bit>
#include <mvrm/core/error.h>
#include <mvrm/train/reduction.h>

namespace mvrm::train {

TreeSum::TreeSum(int64_t slots, int64_t rank, int64_t ranks) {
  count_ = slots > rank ? (slots - rank + ranks - 1) / ranks : 0;
  // Every rank's tree must be a subtree of the same whole, so its depth follows from all slots, not from its own.
  const auto padded = std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(1, slots)));
  const auto share = std::max<uint64_t>(1, padded / std::bit_floor(static_cast<uint64_t>(ranks)));
  bits_ = std::countr_zero(std::bit_ceil(std::max(share, static_cast<uint64_t>(std::max<int64_t>(1, count_)))));
  for (int64_t position = 0; position < (int64_t{1} << bits_); ++position) {
    if (reversed(position) < count_) order_.push_back(reversed(position));
  }
}

int64_t TreeSum::reversed(int64_t leaf) const {
  int64_t result = 0;
  for (int64_t bit = 0; bit < bits_; ++bit) result |= ((leaf >> bit) & 1) << (bits_ - 1 - bit);
  return result;
}

bool TreeSum::has_leaf(int64_t level, int64_t index) const {
  for (int64_t position = index << level; position < (index + 1) << level; ++position) {
    if (reversed(position) < count_) return true;
  }
  return false;
}

void TreeSum::add(int64_t leaf, Gradients gradients) {
  const std::lock_guard lock(mutex_);
  int64_t level = 0, index = reversed(leaf);
  for (; level < bits_; ++level, index /= 2) {
    const auto sibling = partial_.find({level, index ^ 1});
    if (sibling == partial_.end()) {
      if (has_leaf(level, index ^ 1)) break;   // it will come
      continue;                                // nothing there: the sum moves up unchanged
    }
    const bool left = index % 2 == 0;
    Gradients& low = left ? gradients : sibling->second;
    const Gradients& high = left ? sibling->second : gradients;
    for (size_t u = 0; u < low.size(); ++u) low[u].add_(high[u]);
    if (!left) gradients = std::move(sibling->second);
    partial_.erase(sibling);
  }
  partial_[{level, index}] = std::move(gradients);
}

Gradients TreeSum::take(Gradients empty) {
  const std::lock_guard lock(mutex_);
  if (count_ == 0) return empty;
  MVRM_CHECK(partial_.size() == 1, partial_.size(), " partial sums are left");
  return std::move(partial_.begin()->second);
}

core::Tensor reduce_scatter(const core::Tensor& flat, bool ordered, dist::Communicator& comm) {
  const int64_t ranks = comm.size(), part = flat.numel() / ranks;
  if (ranks == 1) return flat;
  if (!ordered) {
    core::Tensor out = at::empty({part}, flat.options());
    comm.reduce_scatter_sum(out, flat);
    return out;
  }
  core::Tensor parts = at::empty_like(flat);
  comm.all_to_all(parts, flat);
  std::vector<core::Tensor> value;
  for (int64_t r = 0; r < ranks; ++r) value.push_back(parts.slice(0, r * part, (r + 1) * part));
  if (!std::has_single_bit(static_cast<uint64_t>(ranks))) {
    for (int64_t r = 1; r < ranks; ++r) value[0].add_(value[static_cast<size_t>(r)]);
    return value[0].clone();
  }
  for (int64_t stride = ranks / 2; stride > 0; stride /= 2) {
    for (int64_t r = 0; r < stride; ++r) value[static_cast<size_t>(r)].add_(value[static_cast<size_t>(r + stride)]);
  }
  return value[0].clone();
}

}  // namespace mvrm::train
