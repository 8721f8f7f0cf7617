// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <mvrm/train/schedule.h>
#include <numbers>

namespace mvrm::train {

double learning_rate(const ScheduleConfig& schedule, double peak, int64_t step, int64_t total_steps) {
  // The allowance keeps ceil(0.03 * 600) at 18 although 0.03 is not exact in binary.
  const auto warmup = static_cast<int64_t>(std::ceil(schedule.warmup_ratio * static_cast<double>(total_steps) - 1e-9));
  if (step < warmup) return peak * static_cast<double>(step) / static_cast<double>(warmup);
  if (schedule.kind == "constant" || total_steps == warmup) return peak;
  const double progress = static_cast<double>(step - warmup) / static_cast<double>(total_steps - warmup);
  if (schedule.kind == "linear") return peak * (1.0 - progress);
  return peak * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
}

}  // namespace mvrm::train
