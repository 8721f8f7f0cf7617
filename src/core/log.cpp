// SPDX-License-Identifier: Apache-2.0
// The only file that includes spdlog: it needs another fmt than the one in torch's include folder.
#include <mvrm/core/error.h>
#include <mvrm/core/log.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/dist_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace mvrm::core {

struct Log::Sink {
  std::string prefix;
  // The distributing sink takes a lock, so a file may be added while other threads log.
  std::shared_ptr<spdlog::sinks::dist_sink_mt> targets = std::make_shared<spdlog::sinks::dist_sink_mt>();
  spdlog::logger logger{"mvrm", targets};

  Sink() {
    logger.set_level(spdlog::level::debug);
    logger.flush_on(spdlog::level::info);
  }
  void line(spdlog::level::level_enum level, const std::string& message) {
    logger.log(level, spdlog::string_view_t(prefix + message));
  }
};

Log Log::to_stderr(const std::string& prefix) {
  Log log;
  log.sink_ = std::make_shared<Sink>();
  log.sink_->prefix = prefix;
  auto target = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  target->set_level(spdlog::level::info);
  target->set_pattern("[%l] %v");
  log.sink_->targets->add_sink(target);
  return log;
}

void Log::add_file(const std::filesystem::path& path) {
  try {
    auto target = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string(), /*truncate=*/false);
    target->set_pattern("%Y-%m-%dT%H:%M:%S.%e [%l] %v");
    if (!sink_) sink_ = std::make_shared<Sink>();
    sink_->targets->add_sink(target);
  } catch (const spdlog::spdlog_ex& cause) {
    throw io_error(path.string() + ": can't open the log file: " + cause.what());
  }
}

void Log::debug(const std::string& message) const {
  if (sink_) sink_->line(spdlog::level::debug, message);
}
void Log::info(const std::string& message) const {
  if (sink_) sink_->line(spdlog::level::info, message);
}
void Log::warn(const std::string& message) const {
  if (sink_) sink_->line(spdlog::level::warn, message);
}
void Log::error(const std::string& message) const {
  if (sink_) sink_->line(spdlog::level::err, message);
}

}  // namespace mvrm::core
