// SPDX-License-Identifier: Apache-2.0
// What libmvrm_cuda.so offers to mvrm/dist/plugin.h: two functions found by name. Exceptions of core/error.h pass through.
#include <c10/cuda/CUDAFunctions.h>

#include "nccl_communicator.h"

// The caller owns the result.
extern "C" mvrm::dist::Communicator* mvrm_cuda_make_communicator(const mvrm::dist::WorldConfig* world) {
  return new mvrm::cuda::NcclCommunicator(*world);
}

extern "C" int mvrm_cuda_device_count() { return c10::cuda::device_count(); }
