// SPDX-License-Identifier: Apache-2.0
// Decoded and resized frames on disk, from epoch to epoch and run to run. An entry is found by what it was made from: the bytes of the
// clip or pictures and every setting that decides the levels, so a changed file or setting is simply another entry, and a moved or copied
// file is the same one. (Path, size and time of a file would be quicker to read, but lie after a copy.)
// One file an entry, written beside its place and renamed; a checksum tells damage, and a damaged entry is made again.
// Several ranks and runs may share a folder. It never holds more than its bound: entries that no run of now has used go first, the oldest
// at the beginning; where only used ones are left, new ones aren't kept, because clips come round in epochs and the oldest is the next.
#pragma once
#include <atomic>
#include <chrono>
#include <filesystem>
#include <mvrm/core/log.h>
#include <mvrm/data/dataset.h>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mvrm::data {

struct ModelFrames {
  preprocess::Pixels pixels;
  std::vector<int64_t> frame_indices;
};
inline constexpr std::string_view kFrameFormat = "MVRMFRM1";   // at the beginning of an entry
std::string encode(const ModelFrames& frames, const std::string& key);
std::optional<ModelFrames> decode(std::string_view bytes, const std::string& key);   // nullopt: damaged

// Thread-safe.
class FrameCache {
 public:
  // Makes the folder. Throws Error (io).
  FrameCache(std::filesystem::path folder, int64_t max_bytes, core::Log log);
  // Reads the sample's files. nullopt: they can't be read, or aren't regular files.
  static std::optional<std::string> key_of(const Sample& sample, const Processor& processor);
  std::optional<ModelFrames> find(const std::string& key);
  // Nothing happens when it doesn't fit. A folder that can't be written to is warned of once and left alone from then on.
  void put(const std::string& key, const ModelFrames& frames);

 private:
  void add(const std::string& key, const std::string& bytes);
  bool make_room(int64_t& total, int64_t bytes) const;
  std::filesystem::path path_of(const std::string& key) const;
  std::filesystem::path folder_;
  int64_t max_bytes_;
  core::Log log_;
  std::filesystem::file_time_type start_;
  std::atomic<bool> writable_{true};
  std::atomic<int64_t> written_{0};
};

}  // namespace mvrm::data
