// SPDX-License-Identifier: Apache-2.0
#include "atomic_file.h"

#include <algorithm>
#include <fcntl.h>
#include <mvrm/core/files.h>
#include <system_error>

#include "descriptor.h"

namespace mvrm::core {

AtomicFile::AtomicFile(const std::filesystem::path& path) : path_(path), temporary_(path) {
  temporary_ += ".tmp-" + std::to_string(::getpid());
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (descriptor_ < 0) throw errno_error(path_, "create");
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  std::error_code ignored;
  if (!temporary_.empty()) std::filesystem::remove(temporary_, ignored);
}

void AtomicFile::write(const void* bytes, size_t count) {
  constexpr size_t kMaxChunk = size_t{1} << 30;   // Linux transfers at most 2 GiB a call
  const char* next = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t written = ::write(descriptor_, next, std::min(count, kMaxChunk));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw errno_error(path_, "write " + std::to_string(count) + " more bytes");
    next += written;
    count -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) throw errno_error(path_, "fsync");
  if (::close(std::exchange(descriptor_, -1)) != 0) throw errno_error(path_, "close");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw errno_error(path_, "replace");
  temporary_.clear();
  fsync_folder(path_.has_parent_path() ? path_.parent_path() : ".");
}

}  // namespace mvrm::core
