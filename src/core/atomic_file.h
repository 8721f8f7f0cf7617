// SPDX-License-Identifier: Apache-2.0
// A file that appears under its name whole or not at all. Private to core; the public face is write_file_atomic.
#pragma once
#include <cstddef>
#include <filesystem>

namespace mvrm::core {

// Opens <path>.tmp-<pid>. commit() fsyncs, renames over `path` and fsyncs the folder; without it the destructor
// removes the temporary file. Every failure is an Error (io). Not thread-safe.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(const void* bytes, size_t count);
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
};

}  // namespace mvrm::core
