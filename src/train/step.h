// SPDX-License-Identifier: Apache-2.0
// One optimiser step up to the gradient: micro-batches over threads and ranks, summed in a fixed order.
#pragma once
#include <mvrm/core/context.h>
#include <mvrm/data/dataset.h>
#include <mvrm/refine/plan.h>
#include <mvrm/train/reduction.h>
#include <mvrm/train/train_state.h>
#include <string>
#include <vector>

namespace mvrm::train {

// The samples that the plan keeps, with their weights. Throws DataError when the plan has no row for a sample, or other dimensions.
struct Samples {
  Samples(data::Dataset& dataset, const refine::RefinementPlan& plan);
  std::string list(const std::vector<int64_t>& samples) const;   // ids for a message
  data::Dataset& dataset;
  std::vector<std::string> ids;
  std::vector<int64_t> index;          // into the data set
  core::Tensor weight_NK;              // float64, rows as `ids`
};

struct StepBatch {
  std::vector<int64_t> samples;        // into Samples, the whole step over all ranks
  int64_t micro_batch = 1;
};
struct StepOutcome {
  Gradients gradient_parts;            // this rank's part of the sum, by unit
  double loss = 0;                     // of the whole step, the same on every rank
  std::vector<double> loss_K;          // mean squared residual per dimension, unweighted
};
StepOutcome compute_step(const model::RewardModel& model, const TrainState& state, const Samples& samples, const StepBatch& step, bool ordered,
                         dist::Communicator& comm, const core::Context& context);

bool any_rank(bool flag, dist::Communicator& comm);

}  // namespace mvrm::train
