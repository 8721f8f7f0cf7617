// SPDX-License-Identifier: Apache-2.0
// Collectives over NCCL. A world of one goes through every call; worlds of several GPUs are in program_test.cpp.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/dist/plugin.h>

#include "tests/support/program.h"

namespace mvrm {
namespace {

TEST(Nccl, AWorldOfOneGivesItsOwnNumbersBack) {
  const test::Scratch scratch("nccl");
  const auto comm = dist::connect_cuda({});
  comm->watch(scratch.path / "ranks");
  for (const at::Device device : {at::Device(at::kCUDA, 0), at::Device(at::kCPU)}) {
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16, at::kLong, at::kByte}) {
      const at::Tensor in = at::arange(12, at::TensorOptions(device).dtype(dtype));
      at::Tensor sum = in.clone(), sent = in.clone(), gathered = at::zeros_like(in), scattered = at::zeros_like(in), exchanged = at::zeros_like(in);
      comm->all_reduce_sum(sum);
      comm->broadcast(sent);
      const auto ticket = comm->start_all_gather(gathered, in);
      comm->reduce_scatter_sum(scattered, in);
      comm->all_to_all(exchanged, in);
      ticket();
      for (const at::Tensor& out : {sum, sent, gathered, scattered, exchanged}) EXPECT_TRUE(at::equal(out, in)) << device << ", " << at::toString(dtype);
    }
  }
  comm->barrier();
}

TEST(Nccl, ARankWithoutADeviceIsAConfigurationError) {
  dist::WorldConfig world;
  world.local_rank = dist::cuda_device_count();
  EXPECT_THROW(dist::connect_cuda(world), core::ConfigError);
}

}  // namespace
}  // namespace mvrm
