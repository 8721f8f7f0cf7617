// SPDX-License-Identifier: Apache-2.0
// Learning rate per optimiser step (spec/videoscore.md 4.5).
#pragma once
#include <cstdint>
#include <mvrm/train/train_config.h>

namespace mvrm::train {

// Rate of step k = 0 .. total_steps - 1: lr * k / w for k < w = ceil(warmup_ratio * total), then cosine, linear or constant.
double learning_rate(const ScheduleConfig& schedule, double peak, int64_t step, int64_t total_steps);

}  // namespace mvrm::train
