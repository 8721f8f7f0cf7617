// SPDX-License-Identifier: Apache-2.0
// Opens the plug-in before any test asks torch about devices. Without a GPU: exit status 77, which CTest shows as skipped.
#include <gtest/gtest.h>
#include <mvrm/dist/plugin.h>
#include <mvrm/run/process.h>

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  ::setenv("MVRM_CUDA_PLUGIN", MVRM_PLUGIN, 0);
  mvrm::run::make_context({.local_ranks = 1});   // as every command does: one thread an operation, deterministic algorithms
  if (!mvrm::dist::load_cuda_plugin(mvrm::core::Log::to_stderr()) || mvrm::dist::cuda_device_count() == 0) {
    std::puts("skipped: no GPU here, or the plug-in was not built (docs/cuda.md)");
    return 77;
  }
  return RUN_ALL_TESTS();
}
