// SPDX-License-Identifier: Apache-2.0
// An open regular file: the descriptor is checked after opening, so neither a FIFO nor a device nor a folder is ever read.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

namespace mvrm::video {

class RegularFile {
 public:
  // Throws DataError naming the path: missing, no permission, not a regular file, empty.
  explicit RegularFile(const std::filesystem::path& path);
  ~RegularFile();
  RegularFile(const RegularFile&) = delete;
  RegularFile& operator=(const RegularFile&) = delete;
  int descriptor() const { return descriptor_; }
  int64_t size() const { return size_; }
  std::string read_all(int64_t max_bytes) const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  int64_t size_ = 0;
};

}  // namespace mvrm::video
