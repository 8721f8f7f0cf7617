// SPDX-License-Identifier: Apache-2.0
// A step that is done leaves a stamp: a file that holds the hash of its inputs. The same inputs again: the step is not repeated.
#pragma once
#include <filesystem>
#include <mvrm/core/files.h>
#include <string>

namespace mvrm::run {

inline bool stamp_matches(const std::filesystem::path& directory, const std::string& key) {
  const auto path = directory / "done";
  return std::filesystem::is_regular_file(path) && core::read_file(path, 1 << 20) == key + "\n";
}
inline void write_stamp(const std::filesystem::path& directory, const std::string& key) {
  core::write_file_atomic(directory / "done", key + "\n");
}

}  // namespace mvrm::run
