// SPDX-License-Identifier: Apache-2.0
// The Communicator over NCCL through c10d. Collectives run on a stream of their own beside the computation; a ticket returns when the
// result is there: the host waits, so that a lost or late peer is an exception of this call and not an abort of the process later.
#pragma once
#include <ATen/ATen.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mvrm/dist/communicator.h>
#include <mvrm/dist/heartbeat.h>
#include <optional>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace mvrm::cuda {

class NcclCommunicator final : public dist::Communicator {
 public:
  // Takes device world.local_rank. Throws ConfigError when there is none, Error (peer_lost) when the ranks don't meet in time.
  explicit NcclCommunicator(const dist::WorldConfig& world);
  int64_t rank() const override { return rank_; }
  int64_t size() const override { return size_; }
  ~NcclCommunicator() override;
  void all_reduce_sum(at::Tensor& tensor) override;
  void broadcast(at::Tensor& tensor, int64_t root) override;
  void all_gather(at::Tensor& out, const at::Tensor& in) override { start_all_gather(out, in)(); }
  void reduce_scatter_sum(at::Tensor& out, const at::Tensor& in) override { start_reduce_scatter_sum(out, in)(); }
  void all_to_all(at::Tensor& out, const at::Tensor& in) override { start_all_to_all(out, in)(); }
  dist::Ticket start_all_gather(at::Tensor& out, const at::Tensor& in) override;
  dist::Ticket start_reduce_scatter_sum(at::Tensor& out, const at::Tensor& in) override;
  dist::Ticket start_all_to_all(at::Tensor& out, const at::Tensor& in) override;
  void watch(const std::filesystem::path& folder) override;
  void check_peers() const override;
  void barrier() override;

 private:
  using Work = c10::intrusive_ptr<c10d::Work>;
  // Torch's errors about peers become Error (peer_lost) that names `operation` and, where it is known, the peer.
  template <class Call> auto run(const char* operation, Call call) const;
  // To the end of one collective, or to the end of a peer.
  void finish(const char* operation, const Work& work) const;
  void in_place(const char* operation, at::Tensor& tensor, const std::function<Work(std::vector<at::Tensor>&)>& collective) const;
  dist::Ticket start(const char* operation, at::Tensor& out, const at::Tensor& in, const std::function<Work(at::Tensor&, at::Tensor&)>& collective) const;
  [[noreturn]] void lost(const char* operation, const std::string& why) const;

  int64_t rank_, size_;
  at::Device device_;
  std::chrono::duration<double> timeout_;
  std::optional<dist::Heartbeat> heartbeat_;
  mutable std::atomic<bool> broken_{false};   // after a lost peer: what is under way will never end
  c10::intrusive_ptr<c10d::ProcessGroupNCCL> group_;
};

}  // namespace mvrm::cuda
