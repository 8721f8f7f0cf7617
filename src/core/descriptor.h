// SPDX-License-Identifier: Apache-2.0
// A POSIX file descriptor that closes itself, and the text of errno. Private to core.
#pragma once
#include <cerrno>
#include <filesystem>
#include <mvrm/core/error.h>
#include <string>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace mvrm::core {

// "path: can't open: No such file or directory"
inline Error errno_error(const std::filesystem::path& path, const std::string& action) {
  return io_error(path.string() + ": can't " + action + ": " + std::generic_category().message(errno));
}

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const { return value_; }

 private:
  int value_;
};

}  // namespace mvrm::core
