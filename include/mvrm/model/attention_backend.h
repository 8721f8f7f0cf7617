// SPDX-License-Identifier: Apache-2.0
// Which implementation of attention a model gets. The policy (src/model/attention.cpp): float64 the written-out one, everything else
// torch's fused operator, which picks by device, dtype and head size; cuDNN's is left out where runs must repeat themselves to the bit.
#pragma once
#include <mvrm/model/reward_model.h>
#include <string>

namespace mvrm::model {

// For the log, e.g. "vision flash, text flash": what batches without a mask get on the model's device.
std::string attention_backend(const RewardModel& model);

}  // namespace mvrm::model
