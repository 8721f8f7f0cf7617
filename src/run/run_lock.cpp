// SPDX-License-Identifier: Apache-2.0
#include "run_lock.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <mvrm/core/error.h>
#include <sys/file.h>
#include <unistd.h>

namespace mvrm::run {

RunLock::RunLock(const std::filesystem::path& directory, const std::string& option) {
  const auto path = directory / ".lock";
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (descriptor_ < 0) throw core::io_error(path.string() + ": can't be opened: " + std::strerror(errno));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    char owner[300] = "";
    const auto length = ::read(descriptor_, owner, sizeof owner - 1);
    ::close(descriptor_);
    throw core::ConfigError(directory.string() + ": another job (" + std::string(owner, length > 0 ? static_cast<size_t>(length) : 0) +
                            ") is at work in this directory; wait for it or choose another " + option);
  }
  char host[256] = "?";
  ::gethostname(host, sizeof host - 1);
  const std::string owner = "pid " + std::to_string(::getpid()) + " on " + host;
  // Only a message for others: a failure to write it is none of this lock's business.
  if (::ftruncate(descriptor_, 0) == 0) static_cast<void>(!::pwrite(descriptor_, owner.data(), owner.size(), 0));
}

RunLock::~RunLock() { ::close(descriptor_); }

std::unique_ptr<RunLock> lock_directory(const std::filesystem::path& directory, const std::string& option, dist::Communicator& comm) {
  std::unique_ptr<RunLock> lock;
  std::string problem;
  if (comm.is_main()) {
    try {
      lock = std::make_unique<RunLock>(directory, option);
    } catch (const core::ConfigError& error) {
      problem = error.what();
    }
  }
  problem = dist::gather_texts(comm, problem).front();
  if (!problem.empty()) throw core::ConfigError(problem);
  return lock;
}

}  // namespace mvrm::run
