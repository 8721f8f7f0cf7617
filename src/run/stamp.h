// SPDX-License-Identifier: Apache-2.0
// A step that is done leaves a stamp, a file named after it that holds the hash of its inputs. The same inputs again: it is not repeated.
#pragma once
#include <filesystem>
#include <mvrm/core/files.h>
#include <string>

namespace mvrm::run {

inline bool stamp_matches(const std::filesystem::path& directory, const std::string& key, const char* step = "done") {
  const auto path = directory / step;
  return std::filesystem::is_regular_file(path) && core::read_file(path, 1 << 20) == key + "\n";
}
// Of any inputs; a link at its name is none.
inline bool has_stamp(const std::filesystem::path& directory) {
  return std::filesystem::is_regular_file(std::filesystem::symlink_status(directory / "done"));
}
inline void remove_stamps(const std::filesystem::path& directory) {
  for (const char* step : {"done", "evaluated"}) std::filesystem::remove(directory / step);
}
inline void write_stamp(const std::filesystem::path& directory, const std::string& key, const char* step = "done") {
  core::write_file_atomic(directory / step, key + "\n");
}

}  // namespace mvrm::run
