// SPDX-License-Identifier: Apache-2.0
#include <mvrm/run/run_lock.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <mvrm/core/error.h>
#include <unistd.h>

namespace mvrm::run {

namespace {

// A lock of the open file, not of the process, which any close() would lose; unlike flock() it can be asked for without being taken, so a
// question never keeps a job from its lock.
struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

core::ConfigError taken(const std::filesystem::path& directory, const std::string& option, int descriptor) {
  char owner[300] = "";
  const auto length = ::pread(descriptor, owner, sizeof owner - 1, 0);
  return core::ConfigError(directory.string() + ": another job (" + std::string(owner, length > 0 ? static_cast<size_t>(length) : 0) +
                           ") is at work in this directory; wait for it or choose another " + option);
}

}  // namespace

RunLock::RunLock(const std::filesystem::path& directory, const std::string& option) {
  const auto path = directory / ".lock";
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (descriptor_ < 0) throw core::io_error(path.string() + ": can't be opened: " + std::strerror(errno));
  struct flock wanted = whole_file();
  if (::fcntl(descriptor_, F_OFD_SETLK, &wanted) != 0) {
    const int why = errno;
    const auto busy = taken(directory, option, descriptor_);
    ::close(descriptor_);
    if (why == EAGAIN || why == EACCES) throw busy;
    throw core::io_error(path.string() + ": can't be locked: " + std::strerror(why));
  }
  char host[256] = "?";
  ::gethostname(host, sizeof host - 1);
  const std::string owner = "pid " + std::to_string(::getpid()) + " on " + host;
  // Only a message for others: a failure to write it is none of this lock's business.
  if (::ftruncate(descriptor_, 0) == 0) static_cast<void>(!::pwrite(descriptor_, owner.data(), owner.size(), 0));
}

RunLock::~RunLock() { ::close(descriptor_); }

void require_unlocked(const std::filesystem::path& directory, const std::string& option) {
  const int descriptor = ::open((directory / ".lock").c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor < 0) return;
  struct flock found = whole_file();
  const bool asked = ::fcntl(descriptor, F_OFD_GETLK, &found) == 0;
  const auto error = taken(directory, option, descriptor);
  ::close(descriptor);
  if (asked && found.l_type != F_UNLCK) throw error;
}

std::unique_ptr<RunLock> lock_directory(const std::filesystem::path& directory, const std::string& option, dist::Communicator& comm) {
  std::unique_ptr<RunLock> lock;
  std::string problem;
  auto status = core::ExitStatus::usage;
  if (comm.is_main()) {
    try {
      lock = std::make_unique<RunLock>(directory, option);
    } catch (const core::Error& error) {
      problem = error.what();
      status = error.status();
    }
  }
  problem = dist::gather_texts(comm, problem).front();
  status = static_cast<core::ExitStatus>(std::lround(dist::gather_values(comm, static_cast<double>(status)).front()));
  if (!problem.empty()) throw core::Error(problem, status);
  return lock;
}

}  // namespace mvrm::run
