// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <mvrm/core/error.h>
#include <mvrm/dist/plugin.h>
#include <string>

namespace mvrm::dist {
namespace {

// libmvrm_cuda.so is not beside a test program, so these hold with and without a CUDA driver.
TEST(Plugin, AbsentMeansCpu) {
  EXPECT_FALSE(load_cuda_plugin(core::Log()));
  EXPECT_EQ(cuda_device_count(), 0);
  EXPECT_FALSE(at::hasCUDA());
}

TEST(Plugin, ConnectWithoutPluginSaysWhy) {
  try {
    connect_cuda(WorldConfig());
    FAIL() << "connect_cuda gave a communicator without a plug-in";
  } catch (const core::ConfigError& error) {
    EXPECT_EQ(error.status(), core::ExitStatus::usage);
    EXPECT_NE(std::string(error.what()).find("libmvrm_cuda.so"), std::string::npos);
  }
}

}  // namespace
}  // namespace mvrm::dist
