// SPDX-License-Identifier: Apache-2.0
// Who is alive, and how far: every rank changes a small file twice a second, so that the others can name the one that died or hangs. On the
// file system that holds the run directory, because the store of the communicator dies with its rank.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace mvrm::dist {

class Heartbeat {
 public:
  // Makes <folder>/rank-R and keeps it moving until it is destroyed. Throws Error (io) when it can't be made.
  Heartbeat(std::filesystem::path folder, int64_t rank, int64_t size);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;
  // A collective begins, or is waited for. The same number on every rank tells one that hangs from those that wait for it.
  void count_call() const { ++calls_; }
  // Watches the others for two seconds. "rank 2 (pid 4711 on node3) does not answer", "… has ended", "… answers, but has not come to what
  // the others wait for", several of them, or that all wait for the same.
  std::string diagnosis() const;
  // True when a process of this machine that has beaten for another rank since this one began is gone. Known within a second; any thread may
  // ask. Nothing else counts: a file system may show beats late, and a job before this one may have left some.
  bool lost_peer() const { return lost_; }

 private:
  void beat(uint64_t count) const;
  void look_for_peers();
  std::filesystem::path folder_;
  int64_t rank_, size_;
  mutable std::atomic<uint64_t> calls_{0};
  std::atomic<bool> lost_{false};
  std::vector<std::string> first_;   // by rank: what lay there at the beginning
  std::vector<int> seen_;            // by rank: the process of this machine that was alive at the last look, 0 = none
  std::mutex mutex_;
  std::condition_variable wake_;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace mvrm::dist
