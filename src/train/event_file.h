// SPDX-License-Identifier: Apache-2.0
// Numbers by step as TensorBoard reads them: TFRecords (length, masked CRC-32C, data, masked CRC-32C) of hand-encoded protobuf Events.
// A run that goes on opens a new file; what older files hold beyond its first step is dropped, so no step is there twice.
#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mvrm::train {

using Scalars = std::vector<std::pair<std::string, double>>;   // tag, value

uint32_t crc32c(std::string_view bytes);   // Castagnoli, RFC 3720
// Event{wall_time, file_version: "brain.Event:2"}, the first of a file, and Event{wall_time, step, summary}. Values are stored as float32.
std::string version_event(double wall_seconds);
std::string scalar_event(double wall_seconds, int64_t step, const Scalars& scalars);
std::string tfrecord(std::string_view data);
// The data of the whole records at the beginning of `bytes`, up to the first that is cut or damaged.
std::vector<std::string> records_of(std::string_view bytes);
int64_t step_of(std::string_view event);   // 0 where there is none

class EventFile {
 public:
  // Opens RUN_DIR/events.out.tfevents.SECONDS.HOST.PID[.N]. Older event files there keep steps up to `first_step` (0: they are removed).
  // Throws Error (io).
  EventFile(const std::filesystem::path& run_dir, int64_t first_step);
  void write(int64_t step, const Scalars& scalars);
  void sync() const;
  const std::filesystem::path& path() const { return path_; }

 private:
  void append(const std::string& event);
  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace mvrm::train
