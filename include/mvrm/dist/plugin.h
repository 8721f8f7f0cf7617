// SPDX-License-Identifier: Apache-2.0
// The door to CUDA: libmvrm_cuda.so, opened at run time when a driver is there. mvrm itself links nothing of CUDA or NCCL, so it
// starts fast and runs where no CUDA library is installed. Not here: what the plug-in does (src/cuda).
#pragma once
#include <mvrm/core/log.h>
#include <mvrm/dist/communicator.h>
#include <memory>

namespace mvrm::dist {

// Opens libmvrm_cuda.so beside the running program, or the file that MVRM_CUDA_PLUGIN names. Call once, before anything asks
// at::hasCUDA(): asked earlier, torch remembers "no CUDA" for good. False without a driver (debug line), without the plug-in or when it can't be opened (a warning says why and what
// to do); never throws. The plug-in stays loaded until the process ends.
bool load_cuda_plugin(const core::Log& log);

// Devices that the plug-in sees; 0 when it is not loaded.
int cuda_device_count();

// NCCL ranks over world.size processes, one device each (local_rank). A world of one is valid. CPU tensors pass through the device.
// Throws ConfigError when the plug-in is not loaded or local_rank has no device, Error (peer_lost) when the ranks don't meet in time.
std::unique_ptr<Communicator> connect_cuda(const WorldConfig& world);

}  // namespace mvrm::dist
