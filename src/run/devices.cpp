// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <mvrm/dist/plugin.h>
#include <mvrm/model/attention_backend.h>
#include <mvrm/run/devices.h>

namespace mvrm::run {

int64_t gpu_count(const core::Log& log) { return dist::load_cuda_plugin(log) ? dist::cuda_device_count() : 0; }

Placement place(int64_t asked, const dist::WorldConfig& world, const core::Log& log) {
  const bool alone = world.size == 1;
  if (asked > 1 && alone) return {.processes = asked};
  const int64_t gpus = gpu_count(log);
  return {.processes = asked == 0 && alone ? std::max<int64_t>(1, gpus) : 1, .gpus = gpus};
}

std::unique_ptr<dist::Communicator> join_ranks(const dist::WorldConfig& world, int64_t gpus, core::Context& context) {
  if (gpus > 0) context.device = "cuda:" + std::to_string(world.local_rank);
  return gpus > 0 && world.size > 1 ? dist::connect_cuda(world) : dist::connect(world);
}

void log_device(const model::RewardModel& model, const core::Context& context) {
  const std::string line = "device " + context.device + ", attention: " + model::attention_backend(model);
  if (model::device_of(model).is_cpu()) context.log.debug(line);
  else context.log.info(line);
}

}  // namespace mvrm::run
