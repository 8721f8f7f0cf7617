// SPDX-License-Identifier: Apache-2.0
// Who is alive: every rank changes a small file twice a second, so that the others can name the one that died or hangs. On the file
// system that holds the run directory, because the store of the communicator dies with its rank.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

namespace mvrm::dist {

class Heartbeat {
 public:
  // Makes <folder>/rank-R and keeps it moving until it is destroyed. Throws Error (io) when it can't be made.
  Heartbeat(std::filesystem::path folder, int64_t rank, int64_t size);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;
  // Watches the others for two seconds. "rank 2 (pid 4711 on node3) does not answer", "rank 1 has ended", both, or that all answer.
  std::string diagnosis() const;
  // True when a process of this machine that beat for another rank is gone. At once, and nothing else: a file system may show beats late.
  bool lost_peer() const;

 private:
  void beat(uint64_t count) const;
  std::filesystem::path folder_;
  int64_t rank_, size_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace mvrm::dist
