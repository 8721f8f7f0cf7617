// SPDX-License-Identifier: Apache-2.0
// One optimiser step up to the gradient: micro-batches over threads and ranks, summed in a fixed order.
#pragma once
#include "samples.h"
#include "step_log.h"
#include "worker_pool.h"

#include <functional>
#include <mvrm/train/loop.h>
#include <mvrm/train/reduction.h>
#include <mvrm/train/train_state.h>
#include <string>
#include <vector>

namespace mvrm::train {

struct StepOutcome {
  Gradients gradient_parts;            // this rank's part of the sum, by objective and unit; empty after a sketch
  core::Tensor sketch_KM;              // float64, of the whole step, the same on every rank
  int64_t used = 0;                    // samples of the step that were not bad
  int64_t tokens = 0;                  // of these samples, padding not counted
  double flops = 0;                    // of their forward passes (cost.h)
  double loss = 0;                     // of the whole step, the same on every rank: mean of factor * weight * residual^2 over used * K
  std::vector<double> loss_K;          // mean squared residual per dimension, unweighted
  std::vector<double> weighted_loss_K; // sum of weight * residual^2 over `used`
  std::vector<SampleView> samples;     // that were used, in the order of the step; they point into `log_NC`
  std::vector<int64_t> not_finite;     // samples whose loss isn't
  double data_wait_seconds = 0;        // this rank's, summed over its threads
  bool stop = false;                   // some rank asked for it
  bool abandoned = false;              // before all micro-batches were computed: nothing else of the outcome counts
  core::Tensor log_NC;
};
struct StepResources {
  const model::RewardModel& model;
  const TrainState& state;
  const Samples& samples;
  dist::Communicator& comm;
  WorkerPool& pool;
  bool ordered = true, recompute = true;
  bool reduce_each = false;            // sum over ranks behind every micro-batch
  // Several ranks that fetch weights or sum gradients in the middle of a micro-batch must go through the units together.
  bool in_step() const { return comm.size() > 1 && (reduce_each || !state.keeps_weights()); }
  SlotOrder slot_order() const { return comm.size() > 1 && reduce_each ? SlotOrder::blocks : SlotOrder::interleaved; }
};
struct StepGoal {
  std::function<std::vector<double>(int64_t slot)> factor_K;   // of each dimension's loss in a micro-batch
  bool per_dimension = false;                                  // a gradient for each dimension instead of their sum
  int64_t sketch_size = 0;                                     // > 0: a sketch of each dimension's gradient and no gradients
};
// `stop`: this rank would like to end the run; the answer of all ranks is in the outcome. A step of many micro-batches may take longer than
// a scheduler waits, so it is abandoned between two of them, unless ranks go through them together. From any thread.
StepOutcome compute_step(const StepResources& with, const StepBatch& step, const StepGoal& goal, const std::function<bool()>& stop);

}  // namespace mvrm::train
