// SPDX-License-Identifier: Apache-2.0
#include "nccl_communicator.h"

#include <c10/cuda/CUDAFunctions.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <mvrm/core/error.h>
#include <mvrm/dist/rendezvous.h>
#include <thread>

namespace mvrm::cuda {
namespace {

constexpr auto kPoll = std::chrono::microseconds(20);

at::Device device_of(const dist::WorldConfig& world) {
  const at::DeviceIndex devices = c10::cuda::device_count();
  if (world.local_rank < 0 || world.local_rank >= devices) {
    throw core::ConfigError("device cuda: local rank " + std::to_string(world.local_rank) +
                            " needs a device of its own, this machine has " + std::to_string(devices) +
                            "; start fewer processes a machine");
  }
  return {at::kCUDA, static_cast<at::DeviceIndex>(world.local_rank)};
}

}  // namespace

template <class Call> auto NcclCommunicator::run(const char* operation, Call call) const {
  try {
    return call();
  } catch (const c10::DistError& error) {
    lost(operation, error.what_without_backtrace());
  }
}

NcclCommunicator::NcclCommunicator(const dist::WorldConfig& world)
    : rank_(world.rank), size_(world.size), device_(device_of(world)), timeout_(world.timeout_seconds) {
  // Read by the constructor of the process group: wait() blocks the host and throws, where the default is to abort the process.
  ::setenv("TORCH_NCCL_BLOCKING_WAIT", "1", 0);
  c10::cuda::set_device(device_.index());
  run("rendezvous", [&] {
    auto options = c10d::ProcessGroupNCCL::Options::create(/*is_high_priority_stream=*/true);
    options->timeout = dist::timeout_of(world);
    group_ = c10::make_intrusive<c10d::ProcessGroupNCCL>(dist::meet(world, "nccl"), static_cast<int>(rank_), static_cast<int>(size_), options);
  });
  barrier();  // NCCL connects at the first collective: better to fail here than in the first step
}

NcclCommunicator::~NcclCommunicator() {
  if (!group_) return;
  if (broken_) group_->abort();   // its own destructor would wait for the lost peer
  else group_->shutdown();
}

void NcclCommunicator::watch(const std::filesystem::path& folder) {
  heartbeat_.reset();
  if (size_ > 1) heartbeat_.emplace(folder, rank_, size_);
}

void NcclCommunicator::check_peers() const {
  if (heartbeat_ && heartbeat_->lost_peer()) lost("computing", "its process is gone");
}

void NcclCommunicator::lost(const char* operation, const std::string& why) const {
  broken_ = true;
  dist::throw_peer_lost(operation, *this, heartbeat_, why);
}

void NcclCommunicator::finish(const char* operation, const Work& work) const {
  const auto start = std::chrono::steady_clock::now();
  if (heartbeat_) heartbeat_->count_call();
  while (!run(operation, [&] { return work->isCompleted(); })) {
    const auto now = std::chrono::steady_clock::now();
    if (now - start > timeout_) lost(operation, "no answer for " + std::to_string(std::lround(timeout_.count())) + " s");
    if (heartbeat_ && heartbeat_->lost_peer()) lost(operation, "its process is gone");
    std::this_thread::sleep_for(kPoll);
  }
  run(operation, [&] { return work->wait(); });   // errors of the collective, and the order of the streams
}

void NcclCommunicator::in_place(const char* operation, at::Tensor& tensor,
                                const std::function<Work(std::vector<at::Tensor>&)>& collective) const {
  std::vector<at::Tensor> on_device{tensor.to(device_)};  // the tensor itself when it is there already
  finish(operation, run(operation, [&] { return collective(on_device); }));
  if (!tensor.is_cuda()) tensor.copy_(on_device.front());
}

dist::Ticket NcclCommunicator::start(const char* operation, at::Tensor& out, const at::Tensor& in,
                                     const std::function<Work(at::Tensor&, at::Tensor&)>& collective) const {
  at::Tensor in_on_device = in.to(device_), out_on_device = out.is_cuda() ? out : at::empty_like(out, out.options().device(device_));
  if (heartbeat_) heartbeat_->count_call();
  const Work work = run(operation, [&] { return collective(out_on_device, in_on_device); });
  return [this, operation, work, out, out_on_device, in_on_device]() mutable {   // both stay alive until the other stream has used them
    finish(operation, work);
    if (!out.is_cuda()) out.copy_(out_on_device);
  };
}

void NcclCommunicator::all_reduce_sum(at::Tensor& tensor) {
  in_place("all_reduce_sum", tensor, [&](auto& tensors) { return group_->allreduce(tensors); });
}

void NcclCommunicator::broadcast(at::Tensor& tensor, int64_t root) {
  c10d::BroadcastOptions options;
  options.rootRank = root;
  in_place("broadcast", tensor, [&](auto& tensors) { return group_->broadcast(tensors, options); });
}

dist::Ticket NcclCommunicator::start_all_gather(at::Tensor& out, const at::Tensor& in) {
  return start("all_gather", out, in, [&](auto& to, auto& from) { return group_->_allgather_base(to, from); });
}

dist::Ticket NcclCommunicator::start_reduce_scatter_sum(at::Tensor& out, const at::Tensor& in) {
  return start("reduce_scatter_sum", out, in, [&](auto& to, auto& from) { return group_->_reduce_scatter_base(to, from); });
}

dist::Ticket NcclCommunicator::start_all_to_all(at::Tensor& out, const at::Tensor& in) {
  std::vector<int64_t> equal_chunks;
  return start("all_to_all", out, in, [&](auto& to, auto& from) { return group_->alltoall_base(to, from, equal_chunks, equal_chunks); });
}

void NcclCommunicator::barrier() {
  c10d::BarrierOptions options;
  options.device_ids = {device_.index()};
  finish("barrier", run("barrier", [&] { return group_->barrier(options); }));
}

}  // namespace mvrm::cuda
