// SPDX-License-Identifier: Apache-2.0
// One job a directory that commands write to: a lock that the kernel gives back when its owner ends, however it ends.
#pragma once
#include <filesystem>
#include <memory>
#include <mvrm/dist/communicator.h>
#include <string>

namespace mvrm::run {

class RunLock {
 public:
  // Locks <directory>/.lock. Throws ConfigError naming pid and host of the owner when another process has it; `option` is what chose the
  // directory.
  RunLock(const std::filesystem::path& directory, const std::string& option);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int descriptor_ = -1;
};

// Throws the same while another process has the directory; takes nothing. Whoever starts ranks asks this first: one line at once instead of
// a start of every rank. A directory that isn't there or can't be read is left to the ranks.
void require_unlocked(const std::filesystem::path& directory, const std::string& option);

// Collective: rank 0 locks for all (the others get nullptr), and all of them throw when it can't.
std::unique_ptr<RunLock> lock_directory(const std::filesystem::path& directory, const std::string& option, dist::Communicator& comm);

}  // namespace mvrm::run
