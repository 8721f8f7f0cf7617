// SPDX-License-Identifier: Apache-2.0
// Which device a rank computes on, and how ranks meet: GPUs with NCCL where the CUDA plug-in finds some, else the CPU with Gloo.
#pragma once
#include <memory>
#include <mvrm/core/context.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/model/reward_model.h>

namespace mvrm::run {

// GPUs that the plug-in sees; opens it, so once a process. 0 on a machine without a driver.
int64_t gpu_count(const core::Log& log);
// What a command does about --nproc-per-node: starts `processes` in its place when they are more than one, else computes beside `gpus`.
struct Placement { int64_t processes = 1, gpus = 0; };
// `asked`: the option; 0 = one for each GPU. A process that a launcher started starts none, and one that only starts others opens nothing.
Placement place(int64_t asked, const dist::WorldConfig& world, const core::Log& log);
// Sets context.device: "cuda:k" for local rank k where there are GPUs, else "cpu". Several ranks meet here.
std::unique_ptr<dist::Communicator> join_ranks(const dist::WorldConfig& world, int64_t gpus, core::Context& context);
// A line about the device and the implementation of attention that the model gets there; on CPUs at debug level.
void log_device(const model::RewardModel& model, const core::Context& context);

}  // namespace mvrm::run
