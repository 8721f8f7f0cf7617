// SPDX-License-Identifier: Apache-2.0
// One optimiser step up to the gradient: micro-batches over threads and ranks, summed in a fixed order.
#pragma once
#include "samples.h"
#include "worker_pool.h"

#include <mvrm/train/reduction.h>
#include <mvrm/train/train_state.h>
#include <string>
#include <vector>

namespace mvrm::train {

struct StepBatch {
  std::vector<int64_t> samples;        // into Samples, the whole step over all ranks
  int64_t micro_batch = 1;
  int64_t slots() const { return (static_cast<int64_t>(samples.size()) + micro_batch - 1) / micro_batch; }
  // The samples of micro-batch `slot`.
  std::vector<int64_t> of_slot(int64_t slot) const;
};
struct StepOutcome {
  Gradients gradient_parts;            // this rank's part of the sum, by unit
  int64_t used = 0;                    // samples of the step that were not bad
  double loss = 0;                     // of the whole step, the same on every rank
  std::vector<double> loss_K;          // mean squared residual per dimension, unweighted
  std::vector<int64_t> not_finite;     // samples whose loss isn't
  bool stop = false;                   // some rank asked for it
};
struct StepResources {
  const model::RewardModel& model;
  const TrainState& state;
  const Samples& samples;
  dist::Communicator& comm;
  WorkerPool& pool;
  bool ordered = true, recompute = true;
};
// `stop`: this rank would like to end the run; the answer of all ranks is in the outcome.
StepOutcome compute_step(const StepResources& with, const StepBatch& step, const std::function<bool()>& stop);

}  // namespace mvrm::train
