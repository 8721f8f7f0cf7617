// SPDX-License-Identifier: Apache-2.0
// Gloo through c10d: the only file of the program that knows its classes. GlooStore is never constructed here (docs/architecture.md).
#include <ATen/ATen.h>
#include <functional>
#include <mvrm/dist/rendezvous.h>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

namespace mvrm::dist {

namespace {

class Gloo : public Communicator {
 public:
  explicit Gloo(const WorldConfig& world) : rank_(world.rank), size_(world.size) {
    run("rendezvous", [&] {
      auto options = c10d::ProcessGroupGloo::Options::create(timeout_of(world));
      const bool loopback = world.master_addr == "127.0.0.1" || world.master_addr == "localhost";
      options->devices.push_back(loopback ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                                          : c10d::ProcessGroupGloo::createDefaultDevice());
      group_ = c10::make_intrusive<c10d::ProcessGroupGloo>(meet(world, "gloo"), static_cast<int>(rank_), static_cast<int>(size_), options);
    });
  }
  int64_t rank() const override { return rank_; }
  int64_t size() const override { return size_; }

  void all_reduce_sum(Tensor& tensor) override {
    run("all_reduce", [&] {
      std::vector<at::Tensor> tensors{tensor};
      group_->allreduce(tensors)->wait();
    });
  }
  void broadcast(Tensor& tensor, int64_t root) override {
    run("broadcast", [&] {
      std::vector<at::Tensor> tensors{tensor};
      c10d::BroadcastOptions options;
      options.rootRank = root;
      group_->broadcast(tensors, options)->wait();
    });
  }
  void all_gather(Tensor& out, const Tensor& in) override { start_all_gather(out, in)(); }
  void reduce_scatter_sum(Tensor& out, const Tensor& in) override { start_reduce_scatter_sum(out, in)(); }
  void all_to_all(Tensor& out, const Tensor& in) override { start_all_to_all(out, in)(); }
  Ticket start_all_gather(Tensor& out, const Tensor& in) override {
    at::Tensor input = in;
    return start("all_gather", [&] { return group_->_allgather_base(out, input); });
  }
  Ticket start_reduce_scatter_sum(Tensor& out, const Tensor& in) override {
    at::Tensor input = in;
    return start("reduce_scatter", [&] { return group_->_reduce_scatter_base(out, input); });
  }
  Ticket start_all_to_all(Tensor& out, const Tensor& in) override {
    at::Tensor input = in;
    return start("all_to_all", [&] {
      std::vector<int64_t> even;
      return group_->alltoall_base(out, input, even, even);
    });
  }
  void watch(const std::filesystem::path& folder) override {
    heartbeat_.reset();
    heartbeat_.emplace(folder, rank_, size_);
  }
  void check_peers() const override {
    if (heartbeat_ && heartbeat_->lost_peer()) throw_peer_lost("computing", *this, heartbeat_, "its process is gone");
  }
  void barrier() override {
    run("barrier", [&] { group_->barrier()->wait(); });
  }

 private:
  using Work = c10::intrusive_ptr<c10d::Work>;
  Ticket start(const char* operation, const std::function<Work()>& begin) {
    Work work;
    run(operation, [&] { work = begin(); });
    return [this, operation, work] { run(operation, [&] { work->wait(); }); };
  }
  // Gloo reports a dead or late peer as a runtime error in several classes; all of them mean that the world is broken.
  void run(const char* operation, const std::function<void()>& collective) const {
    if (heartbeat_) heartbeat_->count_call();
    try {
      collective();
    } catch (const std::exception& error) {
      throw_peer_lost(operation, *this, heartbeat_, error.what());
    }
  }

  int64_t rank_, size_;
  std::optional<Heartbeat> heartbeat_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
};

}  // namespace

std::unique_ptr<Communicator> connect(const WorldConfig& world) {
  if (world.size == 1) return make_single();
  return std::make_unique<Gloo>(world);
}

}  // namespace mvrm::dist
