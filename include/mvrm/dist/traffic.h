// SPDX-License-Identifier: Apache-2.0
// How many bytes a rank's collectives move, by kind. A wrapper, so that backends and callers know nothing of it.
// Counted is the payload that a bandwidth-optimal algorithm moves for one rank of N, whatever the backend does below:
//   all_gather (n in), reduce_scatter (N n in), all_to_all (N n in): (N-1) n each way;  all_reduce (n): 2 n (N-1)/N each way;
//   broadcast (n): the root sends (N-1) n, the others receive n;  barrier: nothing.
#pragma once
#include <cstdint>
#include <map>
#include <mvrm/dist/communicator.h>
#include <string>

namespace mvrm::dist {

struct Traffic {
  int64_t calls = 0, sent_bytes = 0, received_bytes = 0;
};
using TrafficByKind = std::map<std::string, Traffic>;   // all_gather, all_reduce, all_to_all, broadcast, reduce_scatter; no entry: no call
Traffic total(const TrafficByKind& traffic);

class CountingCommunicator final : public Communicator {
 public:
  explicit CountingCommunicator(Communicator& inner) : inner_(inner) {}   // must outlive this
  int64_t rank() const override { return inner_.rank(); }
  int64_t size() const override { return inner_.size(); }
  void all_reduce_sum(Tensor& tensor) override;
  void broadcast(Tensor& tensor, int64_t root) override;
  void all_gather(Tensor& out, const Tensor& in) override;
  void reduce_scatter_sum(Tensor& out, const Tensor& in) override;
  void all_to_all(Tensor& out, const Tensor& in) override;
  void barrier() override { inner_.barrier(); }
  Ticket start_all_gather(Tensor& out, const Tensor& in) override;
  Ticket start_reduce_scatter_sum(Tensor& out, const Tensor& in) override;
  Ticket start_all_to_all(Tensor& out, const Tensor& in) override;
  void watch(const std::filesystem::path& folder) override { inner_.watch(folder); }
  void check_peers() const override { inner_.check_peers(); }
  // Since the last call, or the beginning.
  TrafficByKind take();

 private:
  void add(const char* kind, int64_t sent, int64_t received);
  // Every other rank gets, or gives, a part of `bytes`.
  void add_parts(const char* kind, int64_t bytes) { add(kind, (size() - 1) * bytes, (size() - 1) * bytes); }
  Communicator& inner_;
  TrafficByKind traffic_;
};

}  // namespace mvrm::dist
