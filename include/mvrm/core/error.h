// SPDX-License-Identifier: Apache-2.0
// Errors of the whole program: one base that carries the exit status, two specialisations.
// Not here: expected absence (std::optional) and recovery (data::Dataset skips a DataError; main prints the rest).
#pragma once
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace mvrm::core {

// Exit statuses of the command line, as documented in docs/errors.md.
enum class ExitStatus : int {
  done = 0, failed = 1, usage = 2, data = 3, model = 4, io = 5, numeric = 6,
  peer_lost = 7, gate_not_met = 8, stopped = 75, interrupted = 130,
};

// A message is one line: what, where (file:line, sample id), why, what to do.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, ExitStatus status = ExitStatus::failed)
      : std::runtime_error(message), status_(status) {}
  ExitStatus status() const { return status_; }

 private:
  ExitStatus status_;
};

// A configuration file or a command line that can't be taken: "file:line:col: key.path: why".
class ConfigError : public Error {
 public:
  explicit ConfigError(const std::string& message) : Error(message, ExitStatus::usage) {}
};

// One sample or one data file is bad. The only recoverable error: a Dataset counts and skips it.
// `sample_id` is empty when the file as a whole is at fault.
class DataError : public Error {
 public:
  explicit DataError(const std::string& message, std::string sample_id = {})
      : Error(message, ExitStatus::data), sample_id_(std::move(sample_id)) {}
  const std::string& sample_id() const { return sample_id_; }

 private:
  std::string sample_id_;
};

// A model directory or a checkpoint that can't be used (exit status 4).
inline Error model_error(const std::string& message) { return Error(message, ExitStatus::model); }
// A file that can't be read or written (exit status 5); `message` names the path.
inline Error io_error(const std::string& message) { return Error(message, ExitStatus::io); }

namespace detail {
[[noreturn]] void check_failed(std::string_view condition, const std::string& what, const char* file, int line);
template <class... Values>
std::string join(const Values&... values) {
  std::ostringstream out;
  ((out << values), ...);
  return out.str();
}
}  // namespace detail

}  // namespace mvrm::core

// A broken contract inside the program: throws core::Error with the values. MVRM_CHECK(a == b, "sizes differ: ", a, " and ", b)
#define MVRM_CHECK(condition, ...)                                                                          \
  do {                                                                                                      \
    if (!(condition)) ::mvrm::core::detail::check_failed(#condition, ::mvrm::core::detail::join(__VA_ARGS__), __FILE__, __LINE__); \
  } while (false)
