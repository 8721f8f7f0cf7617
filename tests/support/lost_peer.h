// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <mvrm/core/error.h>
#include <mvrm/dist/communicator.h>

namespace mvrm::test {

// A world of one whose peer, so to speak, is gone from the `last`-th question on.
class LosesAPeer final : public dist::Communicator {
 public:
  explicit LosesAPeer(int last) : last_(last) {}
  int64_t rank() const override { return 0; }
  int64_t size() const override { return 1; }
  void all_reduce_sum(core::Tensor& tensor) override { single_->all_reduce_sum(tensor); }
  void broadcast(core::Tensor& tensor, int64_t root) override { single_->broadcast(tensor, root); }
  void all_gather(core::Tensor& out, const core::Tensor& in) override { single_->all_gather(out, in); }
  void reduce_scatter_sum(core::Tensor& out, const core::Tensor& in) override { single_->reduce_scatter_sum(out, in); }
  void all_to_all(core::Tensor& out, const core::Tensor& in) override { single_->all_to_all(out, in); }
  void barrier() override {}
  void check_peers() const override {
    if (++asked_ >= last_) throw core::Error("a peer is gone", core::ExitStatus::peer_lost);
  }
  int asked() const { return asked_; }

 private:
  std::unique_ptr<dist::Communicator> single_ = dist::make_single();
  int last_;
  mutable std::atomic<int> asked_{0};
};

// `work(comm)` ends with that error, and was at it when it came.
template <class Work> testing::AssertionResult stops_where_a_peer_is_lost(int last, const Work& work) {
  LosesAPeer comm(last);
  try {
    work(comm);
  } catch (const core::Error& error) {
    if (error.status() == core::ExitStatus::peer_lost && comm.asked() == last) return testing::AssertionSuccess();
    return testing::AssertionFailure() << error.what() << " at question " << comm.asked();
  }
  return testing::AssertionFailure() << "went on; asked " << comm.asked() << " times";
}

}  // namespace mvrm::test
