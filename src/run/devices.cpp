// SPDX-License-Identifier: Apache-2.0
#include <mvrm/dist/plugin.h>
#include <mvrm/run/devices.h>

namespace mvrm::run {

int64_t gpu_count(const core::Log& log) { return dist::load_cuda_plugin(log) ? dist::cuda_device_count() : 0; }

std::string device_of_rank(const dist::WorldConfig& world, const core::Log& log) {
  const int64_t gpus = gpu_count(log);
  return gpus == 0 ? "cpu" : "cuda:" + std::to_string(world.local_rank % gpus);
}

std::unique_ptr<dist::Communicator> connect_ranks(const dist::WorldConfig& world, const std::string& device) {
  return device != "cpu" && world.size > 1 ? dist::connect_cuda(world) : dist::connect(world);
}

}  // namespace mvrm::run
