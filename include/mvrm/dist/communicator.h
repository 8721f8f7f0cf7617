// SPDX-License-Identifier: Apache-2.0
// Collectives between ranks. A world of one is valid and does nothing, so nobody writes `if (distributed)`.
// Collective calls must be made by every rank in the same order. Tensors are contiguous; dtype float, double, bfloat16, int64 or uint8.
// A peer that is lost or late throws Error (peer_lost, exit status 7) naming the operation. Not thread-safe: one caller a rank.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mvrm/core/tensor.h>
#include <string>
#include <vector>

namespace mvrm::dist {

using core::Tensor;
// Waits until a started collective is done; must be called before its tensors are touched.
using Ticket = std::function<void()>;

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int64_t rank() const = 0;
  virtual int64_t size() const = 0;
  virtual void all_reduce_sum(Tensor& tensor) = 0;                       // in place
  virtual void broadcast(Tensor& tensor, int64_t root = 0) = 0;          // in place
  virtual void all_gather(Tensor& out, const Tensor& in) = 0;            // out[size * n] from in[n], rank order
  virtual void reduce_scatter_sum(Tensor& out, const Tensor& in) = 0;    // out[n] from in[size * n]
  virtual void all_to_all(Tensor& out, const Tensor& in) = 0;            // equal chunks: out chunk r comes from rank r
  virtual void barrier() = 0;
  // The same, only begun: the caller works on meanwhile. Started in the same order on every rank. Where a backend can't, they block.
  virtual Ticket start_all_gather(Tensor& out, const Tensor& in) { return all_gather(out, in), [] {}; }
  virtual Ticket start_reduce_scatter_sum(Tensor& out, const Tensor& in) { return reduce_scatter_sum(out, in), [] {}; }
  virtual Ticket start_all_to_all(Tensor& out, const Tensor& in) { return all_to_all(out, in), [] {}; }
  // From here on a lost peer is named, by files below `folder` that all ranks share (heartbeat.h). No collective.
  virtual void watch(const std::filesystem::path& folder) { static_cast<void>(folder); }
  // Throws Error (peer_lost) where a watched rank of this machine has ended without a word: between two collectives may lie minutes of
  // computing for nobody. No collective, costs nothing, any thread may ask.
  virtual void check_peers() const {}
  bool is_main() const { return rank() == 0; }
};

// The world of one: every call returns at once with the obvious result.
std::unique_ptr<Communicator> make_single();
// `size` ranks inside one process for tests: element r belongs to thread r.
std::vector<std::unique_ptr<Communicator>> make_thread_ranks(int64_t size);

struct WorldConfig {
  int64_t rank = 0, size = 1, local_rank = 0;
  std::string master_addr = "127.0.0.1";
  int master_port = 0;
  int listen_fd = -1;               // >= 0 on rank 0 under the built-in launcher: an already listening socket
  bool agent_store = false;         // torchrun: the agent owns the store, join as client
  std::string store_prefix = "mvrm";
  double timeout_seconds = 120;
};
// From the environment of torchrun, srun, mpirun or the built-in launcher; a world of one when there is none.
// Throws ConfigError when the variables contradict each other.
WorldConfig world_from_environment();
// Ranks on this machine, from the same variables; 1 without a launcher.
int64_t local_world_size();
// Gloo over TCP for size > 1 (c10d), else the single world.
std::unique_ptr<Communicator> connect(const WorldConfig& world);

// Every rank gives a value; all get the list in rank order.
std::vector<double> gather_values(Communicator& comm, double value);
std::vector<std::string> gather_texts(Communicator& comm, const std::string& text);
// Collective. Rank 0 works, for longer than the timeout if need be; the others wait, and are not taken for lost, nor take rank 0 for it.
// `work` must not use `comm`. What it throws is thrown on rank 0; the others then lose a peer.
void while_main_works(Communicator& comm, const std::function<void()>& work);
// Collective. Throws ConfigError on every rank, naming rank and values, when some rank's values differ from rank 0's.
void require_same(Communicator& comm, const std::map<std::string, std::string>& values);

}  // namespace mvrm::dist
