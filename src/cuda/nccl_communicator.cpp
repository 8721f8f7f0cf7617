// SPDX-License-Identifier: Apache-2.0
#include "nccl_communicator.h"

#include <c10/cuda/CUDAFunctions.h>

#include <mvrm/core/error.h>
#include <chrono>
#include <cstdlib>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace mvrm::cuda {
namespace {

std::chrono::milliseconds timeout_of(const dist::WorldConfig& world) {
  return std::chrono::milliseconds(static_cast<int64_t>(world.timeout_seconds * 1000));
}

c10::intrusive_ptr<c10d::Store> make_store(const dist::WorldConfig& world) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(world.master_port);
  options.isServer = world.rank == 0 && !world.agent_store;  // torchrun's agent is the server already
  options.numWorkers = static_cast<size_t>(world.size);
  options.waitWorkers = false;
  options.timeout = timeout_of(world);
  if (options.isServer && world.listen_fd >= 0) options.masterListenFd = world.listen_fd;
  return c10::make_intrusive<c10d::PrefixStore>(world.store_prefix + "/nccl",
                                                c10::make_intrusive<c10d::TCPStore>(world.master_addr, options));
}

at::Device device_of(const dist::WorldConfig& world) {
  const at::DeviceIndex devices = c10::cuda::device_count();
  if (world.local_rank < 0 || world.local_rank >= devices) {
    throw core::ConfigError("device cuda: local rank " + std::to_string(world.local_rank) +
                            " needs a device of its own, this machine has " + std::to_string(devices) +
                            "; start fewer processes a machine");
  }
  return {at::kCUDA, static_cast<at::DeviceIndex>(world.local_rank)};
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

NcclCommunicator::NcclCommunicator(const dist::WorldConfig& world) : rank_(world.rank), size_(world.size), device_(device_of(world)) {
  // Read by the constructor of the process group: wait() blocks the host and throws, where the default is to abort the process.
  ::setenv("TORCH_NCCL_BLOCKING_WAIT", "1", 0);
  c10::cuda::set_device(device_.index());
  run("rendezvous", [&] {
    auto options = c10d::ProcessGroupNCCL::Options::create(/*is_high_priority_stream=*/true);
    options->timeout = timeout_of(world);
    group_ = c10::make_intrusive<c10d::ProcessGroupNCCL>(make_store(world), static_cast<int>(rank_), static_cast<int>(size_), options);
  });
  barrier();  // NCCL connects at the first collective: better to fail here than in the first step
}

void NcclCommunicator::run(const char* operation, const std::function<void()>& collective) const {
  try {
    collective();
  } catch (const c10::DistError& error) {
    throw core::Error(std::string(operation) + ": rank " + std::to_string(rank_) + " of " + std::to_string(size_) +
                          " lost a peer or waited too long for it (" + first_line(error.what_without_backtrace()) +
                          "); look at the logs of the other ranks, then resume from the last checkpoint",
                      core::ExitStatus::peer_lost);
  }
}

void NcclCommunicator::in_place(const char* operation, at::Tensor& tensor,
                                const std::function<Work(std::vector<at::Tensor>&)>& collective) const {
  run(operation, [&] {
    std::vector<at::Tensor> on_device{tensor.to(device_)};  // the tensor itself when it is there already
    collective(on_device)->wait();
    if (!tensor.is_cuda()) tensor.copy_(on_device.front());
  });
}

void NcclCommunicator::out_of_place(const char* operation, at::Tensor& out, const at::Tensor& in,
                                    const std::function<Work(at::Tensor&, at::Tensor&)>& collective) const {
  run(operation, [&] {
    at::Tensor in_on_device = in.to(device_);
    at::Tensor out_on_device = out.is_cuda() ? out : at::empty_like(out, out.options().device(device_));
    collective(out_on_device, in_on_device)->wait();
    if (!out.is_cuda()) out.copy_(out_on_device);
  });
}

void NcclCommunicator::all_reduce_sum(at::Tensor& tensor) {
  in_place("all_reduce_sum", tensor, [&](auto& tensors) { return group_->allreduce(tensors); });
}

void NcclCommunicator::broadcast(at::Tensor& tensor, int64_t root) {
  c10d::BroadcastOptions options;
  options.rootRank = root;
  in_place("broadcast", tensor, [&](auto& tensors) { return group_->broadcast(tensors, options); });
}

void NcclCommunicator::all_gather(at::Tensor& out, const at::Tensor& in) {
  out_of_place("all_gather", out, in, [&](auto& to, auto& from) { return group_->_allgather_base(to, from); });
}

void NcclCommunicator::reduce_scatter_sum(at::Tensor& out, const at::Tensor& in) {
  out_of_place("reduce_scatter_sum", out, in, [&](auto& to, auto& from) { return group_->_reduce_scatter_base(to, from); });
}

void NcclCommunicator::all_to_all(at::Tensor& out, const at::Tensor& in) {
  std::vector<int64_t> equal_chunks;
  out_of_place("all_to_all", out, in, [&](auto& to, auto& from) { return group_->alltoall_base(to, from, equal_chunks, equal_chunks); });
}

void NcclCommunicator::barrier() {
  c10d::BarrierOptions options;
  options.device_ids = {device_.index()};
  run("barrier", [&] { group_->barrier(options)->wait(); });
}

}  // namespace mvrm::cuda
