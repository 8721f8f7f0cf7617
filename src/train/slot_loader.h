// SPDX-License-Identifier: Apache-2.0
// The micro-batches of a step, ready for the engine. On the CPU the workers load what they compute; a GPU computes on its own, and the
// next micro-batch is decoded, prepared and copied meanwhile.
#pragma once
#include "samples.h"

#include <ATen/ATen.h>
#include <atomic>
#include <functional>
#include <future>
#include <mvrm/train/engine.h>
#include <vector>

namespace mvrm::train {

struct StepBatch {
  std::vector<int64_t> samples;        // into Samples, the whole step over all ranks
  int64_t micro_batch = 1;
  int64_t slots() const { return (static_cast<int64_t>(samples.size()) + micro_batch - 1) / micro_batch; }
  // The samples of micro-batch `slot`; none beyond the last.
  std::vector<int64_t> of_slot(int64_t slot) const;
};

struct LoadedSlot {
  MicroBatch micro;                    // without ids: no slot there, or nothing of it can be used
  std::vector<int64_t> rows;           // the samples of its rows
  core::Tensor work_B2;                // float64 on the CPU: tokens, padding not counted, and operations of a forward pass (cost.h)
};

class SlotLoader {
 public:
  // `factor_K`: of each dimension's loss in a micro-batch; may be empty. All but `factor_K` must outlive the loader.
  SlotLoader(const Samples& samples, const model::RewardModel& model, const StepBatch& step, at::Device device,
             std::function<std::vector<double>(int64_t slot)> factor_K);
  // Thread-safe, unless slots were announced.
  LoadedSlot load(int64_t slot);
  // These will be asked for in this order by one thread.
  void announce(std::vector<int64_t> slots) { announced_ = std::move(slots); }
  double wait_seconds() const { return 1e-9 * static_cast<double>(wait_nanoseconds_.load()); }

 private:
  LoadedSlot load_now(int64_t slot) const;
  const Samples& samples_;
  const model::RewardModel& model_;
  const StepBatch& step_;
  at::Device device_;
  std::function<std::vector<double>(int64_t slot)> factor_K_;
  std::vector<int64_t> announced_;
  size_t next_announced_ = 0;
  std::future<LoadedSlot> ahead_;      // announced_[next_announced_], where it is under way
  std::atomic<int64_t> wait_nanoseconds_{0};
};

}  // namespace mvrm::train
