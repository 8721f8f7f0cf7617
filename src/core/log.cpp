// SPDX-License-Identifier: Apache-2.0
// The only file that includes spdlog: it needs another fmt than the one in torch's include folder.
#include <mvrm/core/error.h>
#include <mvrm/core/log.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace mvrm::core {

struct Log::Sink {
  std::string prefix;
  spdlog::sink_ptr file;   // this log's own
  spdlog::logger logger{"mvrm", std::initializer_list<spdlog::sink_ptr>{}};

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
  log.sink_->logger.sinks().push_back(target);
  return log;
}

Log Log::with_file(const std::filesystem::path& path) const {
  try {
    Log log;
    log.sink_ = std::make_shared<Sink>();
    if (sink_) {
      log.sink_->prefix = sink_->prefix;
      log.sink_->logger.sinks() = sink_->logger.sinks();
    }
    log.sink_->file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string(), /*truncate=*/false);
    log.sink_->file->set_pattern("%Y-%m-%dT%H:%M:%S.%e [%l] %v");
    log.sink_->logger.sinks().push_back(log.sink_->file);
    return log;
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
void Log::error_to_file(const std::string& message) const {
  if (!sink_ || !sink_->file) return;
  sink_->file->log({"mvrm", spdlog::level::err, sink_->prefix + message});
  sink_->file->flush();
}

}  // namespace mvrm::core
