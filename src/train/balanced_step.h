// SPDX-License-Identifier: Apache-2.0
// One step's gradient under a balancing method.
#pragma once
#include "step.h"

#include <mvrm/train/balance.h>

namespace mvrm::train {

// How PCGrad gets its Gram matrix here: the configured way, or for `auto` exactly, unless a single rank would have to hold K gradients of
// a large model.
bool uses_sketch(const BalanceConfig& config, int64_t parameters, int64_t ranks);

// `step` counts from 0. The outcome's gradient_parts hold one gradient, whatever the method.
StepOutcome compute_balanced_step(const StepResources& with, const StepBatch& batch, const Balancer& balancer, int64_t step, bool sketch,
                                  const std::function<bool()>& stop);

}  // namespace mvrm::train
