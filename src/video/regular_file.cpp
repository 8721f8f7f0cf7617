// SPDX-License-Identifier: Apache-2.0
#include "regular_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <mvrm/core/error.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mvrm::video {

RegularFile::RegularFile(const std::filesystem::path& path) : path_(path) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) throw core::DataError(path.string() + ": can't be opened: " + std::strerror(errno));
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) {
    const bool regular = S_ISREG(status.st_mode);
    ::close(descriptor_);
    descriptor_ = -1;
    throw core::DataError(path.string() + (regular ? ": is empty" : ": is not a regular file"));
  }
  size_ = status.st_size;
}

RegularFile::~RegularFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::string RegularFile::read_all(int64_t max_bytes) const {
  if (size_ > max_bytes) throw core::DataError(path_.string() + ": is larger than " + std::to_string(max_bytes) + " bytes");
  std::string content(static_cast<size_t>(size_), '\0');
  size_t filled = 0;
  while (filled < content.size()) {
    const ssize_t got = ::pread(descriptor_, content.data() + filled, content.size() - filled, static_cast<off_t>(filled));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw core::DataError(path_.string() + ": can't be read: " + (got < 0 ? std::strerror(errno) : "it became shorter"));
    filled += static_cast<size_t>(got);
  }
  return content;
}

}  // namespace mvrm::video
