// SPDX-License-Identifier: Apache-2.0
// The Communicator over NCCL through c10d. Each call returns when its result is there: the host waits, so that a lost or late peer
// is an exception of this call and not an abort of the process later.
#pragma once
#include <ATen/ATen.h>

#include <mvrm/dist/communicator.h>
#include <functional>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace mvrm::cuda {

class NcclCommunicator final : public dist::Communicator {
 public:
  // Takes device world.local_rank. Throws ConfigError when there is none, Error (peer_lost) when the ranks don't meet in time.
  explicit NcclCommunicator(const dist::WorldConfig& world);
  int64_t rank() const override { return rank_; }
  int64_t size() const override { return size_; }
  void all_reduce_sum(at::Tensor& tensor) override;
  void broadcast(at::Tensor& tensor, int64_t root) override;
  void all_gather(at::Tensor& out, const at::Tensor& in) override;
  void reduce_scatter_sum(at::Tensor& out, const at::Tensor& in) override;
  void all_to_all(at::Tensor& out, const at::Tensor& in) override;
  void barrier() override;

 private:
  using Work = c10::intrusive_ptr<c10d::Work>;
  // Runs one collective to its end; torch's errors about peers become Error (peer_lost) that names `operation`.
  void run(const char* operation, const std::function<void()>& collective) const;
  void in_place(const char* operation, at::Tensor& tensor, const std::function<Work(std::vector<at::Tensor>&)>& collective) const;
  void out_of_place(const char* operation, at::Tensor& out, const at::Tensor& in,
                    const std::function<Work(at::Tensor&, at::Tensor&)>& collective) const;

  int64_t rank_, size_;
  at::Device device_;
  c10::intrusive_ptr<c10d::ProcessGroupNCCL> group_;
};

}  // namespace mvrm::cuda
