// SPDX-License-Identifier: Apache-2.0
// The loop behind train(), over any source of batches.
#pragma once
#include "samples.h"

#include <mvrm/train/loop.h>

namespace mvrm::train {

TrainResult run_training(model::RewardModel& model, const Samples& samples, const TrainJob& job, dist::Communicator& comm,
                         const core::Context& context);

// What decides every number of a run, as readable values: a checkpoint of a run with another identity is refused. What only moves the
// work around (ranks, threads, micro-batches) is not part of it. Reads all weights.
// `sketch`: how PCGrad gets its Gram matrix in this world, which `auto` leaves to the number of ranks.
std::map<std::string, std::string> identity_of(const TrainConfig& config, const Samples& samples, const model::RewardModel& model, uint64_t seed, bool sketch);

}  // namespace mvrm::train
