// SPDX-License-Identifier: Apache-2.0
// Log lines to stderr, and to the files of whoever holds this log. A value handed around in core::Context; there is no global logger.
#pragma once
#include <filesystem>
#include <memory>
#include <string>

namespace mvrm::core {

// Thread-safe. Copies share one sink. A default-constructed Log is silent.
class Log {
 public:
  Log() = default;
  // Lines as "[level] message" on stderr; `prefix` (e.g. "rank 1: ") comes before the message.
  static Log to_stderr(const std::string& prefix = {});
  // A log of the same targets and a file that receives every line with its time. Appends; throws Error (io) when it can't be opened.
  Log with_file(const std::filesystem::path& path) const;
  void debug(const std::string& message) const;   // file only
  void info(const std::string& message) const;
  void warn(const std::string& message) const;
  void error(const std::string& message) const;
  void error_to_file(const std::string& message) const;   // only to the file of the last with_file(): main prints what ends the program

 private:
  struct Sink;
  std::shared_ptr<Sink> sink_;
};

}  // namespace mvrm::core
