// SPDX-License-Identifier: Apache-2.0
// Ranks as threads of one process, for tests. Every collective is: publish a pointer, meet, read the others in rank order, meet again.
#include <ATen/ATen.h>
#include <barrier>
#include <mvrm/core/error.h>
#include <mvrm/dist/communicator.h>

namespace mvrm::dist {

namespace {

struct Shared {
  explicit Shared(int64_t size) : input(static_cast<size_t>(size)), meeting(size) {}
  std::vector<Tensor> input;
  std::barrier<> meeting;
};

class ThreadRank : public Communicator {
 public:
  ThreadRank(std::shared_ptr<Shared> shared, int64_t rank) : shared_(std::move(shared)), rank_(rank) {}
  int64_t rank() const override { return rank_; }
  int64_t size() const override { return static_cast<int64_t>(shared_->input.size()); }

  void all_reduce_sum(Tensor& tensor) override {
    Tensor sum;
    exchange(tensor, [&] { sum = sum_of(0, tensor.numel()); });
    tensor.copy_(sum.view(tensor.sizes()));
  }
  void broadcast(Tensor& tensor, int64_t root) override {
    Tensor copy;
    exchange(tensor, [&] { copy = shared_->input[static_cast<size_t>(root)].clone(); });
    tensor.copy_(copy);
  }
  void all_gather(Tensor& out, const Tensor& in) override {
    exchange(in, [&] {
      for (int64_t r = 0; r < size(); ++r) chunk(out, r).copy_(shared_->input[static_cast<size_t>(r)].flatten());
    });
  }
  void reduce_scatter_sum(Tensor& out, const Tensor& in) override {
    exchange(in, [&] { out.copy_(sum_of(rank_ * out.numel(), out.numel()).view(out.sizes())); });
  }
  void all_to_all(Tensor& out, const Tensor& in) override {
    exchange(in, [&] {
      for (int64_t r = 0; r < size(); ++r) chunk(out, r).copy_(chunk(shared_->input[static_cast<size_t>(r)], rank_));
    });
  }
  void barrier() override { shared_->meeting.arrive_and_wait(); }

 private:
  template <class Read> void exchange(const Tensor& input, Read read) {
    shared_->input[static_cast<size_t>(rank_)] = input;
    shared_->meeting.arrive_and_wait();
    read();
    shared_->meeting.arrive_and_wait();
  }
  Tensor chunk(const Tensor& tensor, int64_t r) const {
    const int64_t length = tensor.numel() / size();
    return tensor.flatten().slice(0, r * length, (r + 1) * length);
  }
  Tensor sum_of(int64_t begin, int64_t length) const {
    Tensor sum = shared_->input[0].flatten().slice(0, begin, begin + length).clone();
    for (int64_t r = 1; r < size(); ++r) sum += shared_->input[static_cast<size_t>(r)].flatten().slice(0, begin, begin + length);
    return sum;
  }

  std::shared_ptr<Shared> shared_;
  int64_t rank_;
};

}  // namespace

std::vector<std::unique_ptr<Communicator>> make_thread_ranks(int64_t size) {
  MVRM_CHECK(size >= 1, "a world of ", size);
  const auto shared = std::make_shared<Shared>(size);
  std::vector<std::unique_ptr<Communicator>> ranks;
  for (int64_t r = 0; r < size; ++r) ranks.push_back(std::make_unique<ThreadRank>(shared, r));
  return ranks;
}

}  // namespace mvrm::dist
