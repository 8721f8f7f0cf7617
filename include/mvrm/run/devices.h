// SPDX-License-Identifier: Apache-2.0
// Which device a rank computes on, and how ranks meet: GPUs with NCCL where the CUDA plug-in finds some, else the CPU with Gloo.
#pragma once
#include <mvrm/core/log.h>
#include <mvrm/dist/communicator.h>
#include <memory>
#include <string>

namespace mvrm::run {

// GPUs that the plug-in sees; opens it on first use. 0 on a machine without a driver.
int64_t gpu_count(const core::Log& log);
// "cuda:k" for local rank k when there are GPUs, else "cpu".
std::string device_of_rank(const dist::WorldConfig& world, const core::Log& log);
std::unique_ptr<dist::Communicator> connect_ranks(const dist::WorldConfig& world, const std::string& device);

}  // namespace mvrm::run
