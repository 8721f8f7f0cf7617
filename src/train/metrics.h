// SPDX-License-Identifier: Apache-2.0
// metrics.jsonl: a line a step, written as it happens; lines behind a resumed step are dropped first.
#pragma once
#include "step.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <nlohmann/json.hpp>
#include <sstream>
#include <sys/resource.h>

namespace mvrm::train {

struct StepLine {
  int64_t step = 0, epoch = 0;
  double lr = 0, grad_norm = 0, seconds = 0;
  int64_t samples = 0, tokens = 0;
  double data_wait_seconds = 0;   // rank 0's, summed over its threads
  bool skipped = false;
};

class Metrics {
 public:
  Metrics(const std::filesystem::path& run_dir, int64_t first_step, std::vector<std::string> dimensions, bool enabled)
      : dimensions_(std::move(dimensions)), enabled_(enabled) {
    if (!enabled_) return;
    std::filesystem::create_directories(run_dir);
    path_ = run_dir / "metrics.jsonl";
    core::write_file_atomic(path_, lines_up_to(path_, first_step));
    file_.open(path_, std::ios::app);
    check();
  }
  void write(const StepLine& line, const StepOutcome& outcome) {
    if (!enabled_) return;
    nlohmann::ordered_json losses;
    for (size_t k = 0; k < dimensions_.size(); ++k) losses[dimensions_[k]] = number(outcome.loss_K[k]);
    nlohmann::ordered_json row{{"step", line.step}, {"epoch", line.epoch}, {"loss", number(outcome.loss)}, {"dimensions", losses}, {"lr", line.lr},
                               {"grad_norm", number(line.grad_norm)}, {"samples_per_second", static_cast<double>(line.samples) / line.seconds},
                               {"tokens_per_second", static_cast<double>(line.tokens) / line.seconds}, {"data_wait_seconds", line.data_wait_seconds},
                               {"peak_memory_gib", peak_memory_gib()}, {"seconds", line.seconds}};
    if (line.skipped) row["skipped"] = true;
    file_ << row.dump() << std::endl;
    check();
  }
  void write_evaluation(int64_t step, const std::string& json) {
    if (!enabled_) return;
    file_ << nlohmann::ordered_json{{"step", step}, {"eval", nlohmann::ordered_json::parse(json)}}.dump() << std::endl;
    check();
  }
  // Before a checkpoint: lines up to its step must survive whatever it survives.
  void sync() const {
    if (enabled_) core::fsync_file(path_);
  }

 private:
  // Of this process since it started.
  static double peak_memory_gib() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / (1 << 20);
  }
  static nlohmann::ordered_json number(double x) { return std::isfinite(x) ? nlohmann::ordered_json(x) : nlohmann::ordered_json(); }
  static std::string lines_up_to(const std::filesystem::path& path, int64_t step) {
    if (step == 0 || !std::filesystem::exists(path)) return {};
    std::istringstream lines(core::read_file(path));
    std::string kept;
    for (std::string line; std::getline(lines, line);) {
      const auto row = nlohmann::json::parse(line, nullptr, false);   // the last line may be cut
      if (row.is_object() && row.value("step", int64_t{0}) <= step) kept += line + "\n";
    }
    return kept;
  }
  void check() const {
    if (!file_) throw core::io_error(path_.string() + ": can't be written; is the disk full?");
  }
  std::vector<std::string> dimensions_;
  bool enabled_;
  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace mvrm::train
