// SPDX-License-Identifier: Apache-2.0
// N samples, K dimensions.
#include <mvrm/experiment/arm.h>

#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/refine/detection.h>
#include <mvrm/run/profile_run.h>
#include <mvrm/run/train_run.h>
#include <nlohmann/json.hpp>
#include <sstream>

#include "truth.h"

namespace mvrm::experiment {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

void write_clean_labels(const DataFiles& data) {
  const TrueLabels labels = read_true_labels(data.truth);
  std::istringstream lines(core::read_file(data.train));
  std::string clean;
  for (std::string line; std::getline(lines, line);) {
    Json row = Json::parse(line);
    row["labels"] = labels.at(row.at("id").get<std::string>());
    clean += row.dump() + "\n";
  }
  core::write_file_atomic(data.clean, clean);
}

}  // namespace

DataFiles render(const fs::path& directory, const synth::SynthConfig& config, const core::Context& context) {
  synth::write_dataset(directory, config, context);
  const DataFiles data{.train = directory / "train.jsonl", .test = directory / "test.jsonl", .clean = directory / "train_clean.jsonl",
                       .truth = directory / "truth.jsonl"};
  write_clean_labels(data);
  return data;
}

const Arm kBaseline = [] {
  Arm arm;
  arm.name = "baseline";
  return arm;
}();

SeedRuns::SeedRuns(fs::path directory, uint64_t seed, run::RunConfig config, DataFiles data, dist::Communicator* comm)
    : directory_(std::move(directory)), seed_(seed), config_(std::move(config)), data_(std::move(data)), comm_(comm) {}

eval::EvalResult SeedRuns::train(const Arm& arm, const core::Context& context) {
  run::RunConfig config = config_;
  config.run.dir = directory_of(arm);
  config.run.seed = seed_;
  config.data.train = arm.clean_labels ? data_.clean : data_.train;
  config.eval.data = data_.test;
  config.refine = arm.refine;
  config.training.balance.strategy = arm.balance;
  if (arm.balance_at_model_lr) config.training.balance.uncertainty_weighting.lr = {.word = "model"};
  if (arm.refine.strategy != "none" && arm.refine.strategy != "correction" && arm.refine.profile == "auto") {
    profile(context);
    config.refine.profile = (directory_ / "profile").string();
  }
  const auto alone = comm_ == nullptr ? dist::make_single() : nullptr;
  const run::TrainOutcome outcome = run::train_run(config, "auto", comm_ == nullptr ? *alone : *comm_, context, run::FinishedRun::replace);
  if (outcome.stopped_by_signal) {
    throw core::Error("stopped; a checkpoint was written, start the same command again to continue", core::ExitStatus::stopped);
  }
  return *outcome.evaluation;
}

const influence::Profile& SeedRuns::profile(const core::Context& context) {
  if (profile_) return *profile_;
  train(kBaseline, context);
  const auto alone = comm_ == nullptr ? dist::make_single() : nullptr;
  profile_ = run::profile_run({.model_dir = directory_of(kBaseline) / "model", .data_file = data_.train, .out_dir = directory_ / "profile",
                               .data = config_.data, .dtype = config_.model.dtype, .features = "f32", .space = "head+mlp", .replace = true, .all_cores = false},
                              comm_ == nullptr ? *alone : *comm_, context);
  return *profile_;
}

std::vector<double> auroc_by_dimension(const core::Tensor& risk_NK, const core::Tensor& corrupted_NK) {
  std::vector<double> areas;
  double sum = 0;
  for (const auto& detection : refine::detect(risk_NK, corrupted_NK)) {
    areas.push_back(detection.auroc);
    sum += detection.auroc;
  }
  areas.push_back(sum / static_cast<double>(areas.size()));
  return areas;
}

}  // namespace mvrm::experiment
