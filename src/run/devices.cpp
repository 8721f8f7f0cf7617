// SPDX-License-Identifier: Apache-2.0
#include <mvrm/dist/plugin.h>
#include <mvrm/model/attention_backend.h>
#include <mvrm/run/devices.h>

namespace mvrm::run {

int64_t gpu_count(const core::Log& log) { return dist::load_cuda_plugin(log) ? dist::cuda_device_count() : 0; }

std::unique_ptr<dist::Communicator> join_ranks(const dist::WorldConfig& world, core::Context& context) {
  const bool gpus = gpu_count(context.log) > 0;
  if (gpus) context.device = "cuda:" + std::to_string(world.local_rank);
  return gpus && world.size > 1 ? dist::connect_cuda(world) : dist::connect(world);
}

void log_device(const model::RewardModel& model, const core::Context& context) {
  const std::string line = "device " + context.device + ", attention: " + model::attention_backend(model);
  if (model::device_of(model).is_cpu()) context.log.debug(line);
  else context.log.info(line);
}

}  // namespace mvrm::run
