// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <algorithm>
#include <bit>
#include <mvrm/core/error.h>
#include <mvrm/train/reduction.h>

namespace mvrm::train {

TreeSum::TreeSum(int64_t slots, int64_t rank, int64_t ranks, SlotOrder order) {
  // Every rank's tree must be a part of the same whole, so its depth follows from all slots, not from its own.
  const auto padded = std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(1, slots)));
  const auto share = static_cast<int64_t>(std::max<uint64_t>(1, padded / std::bit_floor(static_cast<uint64_t>(ranks))));
  if (order == SlotOrder::interleaved) {
    first_ = rank;
    stride_ = ranks;
    count_ = slots > rank ? (slots - rank + ranks - 1) / ranks : 0;
  } else {
    const int64_t each = std::has_single_bit(static_cast<uint64_t>(ranks)) ? share : (slots + ranks - 1) / ranks;
    first_ = rank * each;
    count_ = std::min(each, slots);
  }
  bits_ = std::countr_zero(std::bit_ceil(static_cast<uint64_t>(std::max({share, count_, int64_t{1}}))));
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

core::Tensor reduce_scatter(const core::Tensor& flat, bool ordered, dist::Communicator& comm) { return PendingSum(flat, ordered, comm).take(); }

PendingSum::PendingSum(const core::Tensor& flat, bool ordered, dist::Communicator& comm) : ordered_(ordered), ranks_(comm.size()), flat_(flat) {
  if (ranks_ == 1) return;
  received_ = ordered ? at::empty_like(flat) : at::empty({flat.numel() / ranks_}, flat.options());
  arrived_ = ordered ? comm.start_all_to_all(received_, flat_) : comm.start_reduce_scatter_sum(received_, flat_);
}

core::Tensor PendingSum::take() {
  if (ranks_ == 1) return flat_;
  arrived_();
  if (!ordered_) return received_;
  const int64_t part = received_.numel() / ranks_;
  std::vector<core::Tensor> value;
  for (int64_t r = 0; r < ranks_; ++r) value.push_back(received_.slice(0, r * part, (r + 1) * part));
  if (!std::has_single_bit(static_cast<uint64_t>(ranks_))) {
    for (int64_t r = 1; r < ranks_; ++r) value[0].add_(value[static_cast<size_t>(r)]);
    return value[0].clone();
  }
  for (int64_t stride = ranks_ / 2; stride > 0; stride /= 2) {
    for (int64_t r = 0; r < stride; ++r) value[static_cast<size_t>(r)].add_(value[static_cast<size_t>(r + stride)]);
  }
  return value[0].clone();
}

}  // namespace mvrm::train
