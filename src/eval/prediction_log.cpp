// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/eval/prediction_log.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>

#include "row_file.h"

namespace mvrm::eval {

struct PredictionLog::File {
  std::filesystem::path path;
  int descriptor = -1;
  std::unordered_map<std::string, std::vector<double>> finished;

  ~File() {
    if (descriptor >= 0) ::close(descriptor);
  }
  [[noreturn]] void fail(const char* what) const { throw core::io_error(path.string() + ": can't " + what + ": " + std::strerror(errno)); }
};

namespace {

// Everything behind the last line feed is a row that a killed process did not finish.
void cut_off_unfinished(int descriptor, const std::filesystem::path& path) {
  const std::string content = core::read_file(path);
  const size_t last = content.rfind('\n'), whole = last == std::string::npos ? 0 : last + 1;
  if (whole < content.size() && ::ftruncate(descriptor, static_cast<off_t>(whole)) != 0) {
    throw core::io_error(path.string() + ": can't cut off an unfinished row: " + std::strerror(errno));
  }
}

std::vector<double> rewards_of(const Row& row, const std::vector<std::string>& dimensions, const std::string& where, const std::string& id) {
  const auto scores = row.find("scores");
  if (scores == row.end() || !scores->is_object()) fail_row(where, id, "'scores' must be an object of dimension names and numbers");
  std::vector<double> reward_K;
  for (const auto& name : dimensions) {
    const auto value = scores->find(name);
    if (value == scores->end() || !(value->is_number() || value->is_null())) fail_row(where, id, "'scores." + name + "' is not a number");
    reward_K.push_back(value->is_null() ? std::numeric_limits<double>::quiet_NaN() : value->get<double>());
  }
  return reward_K;
}

}  // namespace

PredictionLog::PredictionLog(const std::filesystem::path& path, const std::string& made_by, const std::vector<std::string>& dimensions)
    : file_(std::make_unique<File>()) {
  file_->path = path;
  file_->descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file_->descriptor < 0) file_->fail("open");
  if (::flock(file_->descriptor, LOCK_EX | LOCK_NB) != 0) throw core::io_error(path.string() + ": another process is writing this file");
  cut_off_unfinished(file_->descriptor, path);
  if (std::filesystem::file_size(path) == 0) return;
  for_each_row(path, [&](const Row& row, const std::string& where) {
    const std::string& id = text_field(row, "id", where);
    const Row* maker = find_field(row, {"made_by"});
    if (!maker || *maker != made_by) {
      fail_row(where, id, "was not made by this model, dtype and choice of frames; give another --out, or remove the file");
    }
    std::vector<double> reward_K = rewards_of(row, dimensions, where, id);
    if (std::all_of(reward_K.begin(), reward_K.end(), [](double x) { return std::isnan(x); })) return;
    if (!file_->finished.emplace(id, std::move(reward_K)).second) fail_row(where, id, "duplicate id");
  });
}

PredictionLog::~PredictionLog() = default;

const std::unordered_map<std::string, std::vector<double>>& PredictionLog::finished() const { return file_->finished; }

void PredictionLog::append(const std::string& line) {
  for (size_t done = 0; done < line.size();) {
    const ssize_t written = ::write(file_->descriptor, line.data() + done, line.size() - done);
    if (written < 0 && errno != EINTR) file_->fail("write");
    if (written > 0) done += static_cast<size_t>(written);
  }
}

}  // namespace mvrm::eval
