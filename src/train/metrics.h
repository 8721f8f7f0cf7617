// SPDX-License-Identifier: Apache-2.0
// metrics.jsonl: a line a step, written as it happens; lines behind a resumed step are dropped first. Where asked, the same numbers go to
// TensorBoard's event files.
#pragma once
#include "event_file.h"
#include "step.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/dist/traffic.h>
#include <nlohmann/json.hpp>
#include <sstream>
#include <sys/resource.h>

namespace mvrm::train {

struct StepLine {
  int64_t step = 0, epoch = 0;
  double lr = 0, grad_norm = 0, seconds = 0;
  int64_t samples = 0, tokens = 0;
  at::Device device = at::kCPU;
  double data_wait_seconds = 0;   // rank 0's, summed over its threads
  double flops = 0;               // of all forward and backward passes; what is computed again counts once
  double peak_flops = 0;          // a second, of all ranks together; 0 = unknown
  dist::TrafficByKind traffic;    // of rank 0, sharing of new weights included
  bool skipped = false;
};

class Metrics {
 public:
  Metrics(const std::filesystem::path& run_dir, int64_t first_step, std::vector<std::string> dimensions, bool enabled, bool tensorboard = false)
      : dimensions_(std::move(dimensions)), enabled_(enabled) {
    if (!enabled_) return;
    std::filesystem::create_directories(run_dir);
    path_ = run_dir / "metrics.jsonl";
    core::write_file_atomic(path_, lines_up_to(path_, first_step));
    file_.open(path_, std::ios::app);
    check();
    if (tensorboard) events_.emplace(run_dir, first_step);
  }
  void write(const StepLine& line, const StepOutcome& outcome) {
    if (!enabled_) return;
    nlohmann::ordered_json losses;
    for (size_t k = 0; k < dimensions_.size(); ++k) losses[dimensions_[k]] = number(outcome.loss_K[k]);
    nlohmann::ordered_json row{{"step", line.step}, {"epoch", line.epoch}, {"loss", number(outcome.loss)}, {"dimensions", losses}, {"lr", line.lr},
                               {"grad_norm", number(line.grad_norm)}, {"samples_per_second", static_cast<double>(line.samples) / line.seconds},
                               {"tokens_per_second", static_cast<double>(line.tokens) / line.seconds}, {"data_wait_seconds", line.data_wait_seconds},
                               {"peak_memory_gib", peak_memory_gib()}, {"seconds", line.seconds}, {"flops_per_second", line.flops / line.seconds}};
    if (line.peak_flops > 0) row["flops_utilisation"] = line.flops / line.seconds / line.peak_flops;
    if (!line.device.is_cpu()) row["peak_device_memory_gib"] = peak_device_memory_gib(line.device);
    row["sent_bytes"] = dist::total(line.traffic).sent_bytes;
    row["received_bytes"] = dist::total(line.traffic).received_bytes;
    for (const auto& [kind, traffic] : line.traffic)
      if (traffic.sent_bytes + traffic.received_bytes > 0) row["traffic"][kind] = {{"sent_bytes", traffic.sent_bytes}, {"received_bytes", traffic.received_bytes}};
    if (line.skipped) row["skipped"] = true;
    append(row);
  }
  void write_evaluation(int64_t step, const std::string& json) {
    if (!enabled_) return;
    append({{"step", step}, {"eval", nlohmann::ordered_json::parse(json)}});
  }
  // Before a checkpoint: lines up to its step must survive whatever it survives.
  void sync() const {
    if (enabled_) core::fsync_file(path_);
    if (events_) events_->sync();
  }

 private:
  void append(const nlohmann::ordered_json& row) {
    file_ << row.dump() << std::endl;
    check();
    if (!events_) return;
    Scalars scalars;
    for (const auto& [key, value] : row.items())
      if (key != "step") add_scalars(scalars, key, value);
    events_->write(row.at("step").get<int64_t>(), scalars);
  }
  // Numbers by path: dimensions/visual quality.
  static void add_scalars(Scalars& scalars, const std::string& tag, const nlohmann::ordered_json& value) {
    if (value.is_number()) scalars.emplace_back(tag, value.get<double>());
    if (!value.is_object()) return;
    for (const auto& [key, inner] : value.items()) add_scalars(scalars, tag + "/" + key, inner);
  }
  // Of this process since it started.
  static double peak_memory_gib() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / (1 << 20);
  }
  // Of the tensors of this process since it started.
  static double peak_device_memory_gib(at::Device device) {
    const auto total = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    const auto stats = c10::getDeviceAllocator(device.type())->getDeviceStats(device.index());
    return static_cast<double>(stats.allocated_bytes[total].peak) / (1 << 30);
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
  std::optional<EventFile> events_;
};

}  // namespace mvrm::train
