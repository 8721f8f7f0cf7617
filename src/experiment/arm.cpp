// SPDX-License-Identifier: Apache-2.0
// N samples, K dimensions.
#include <mvrm/experiment/arm.h>

#include <ATen/ATen.h>
#include <limits>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/refine/strategy.h>
#include <mvrm/run/profile_run.h>
#include <mvrm/run/train_run.h>
#include <nlohmann/json.hpp>
#include <sstream>

namespace mvrm::experiment {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

std::map<std::string, Json> read_truth(const fs::path& path) {
  std::map<std::string, Json> truth;
  std::istringstream lines(core::read_file(path));
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    Json row = Json::parse(line, nullptr, false);
    if (!row.is_object() || !row.contains("id") || !row["id"].is_string() || !row.contains("corrupted") || !row.contains("labels")) {
      throw core::DataError(path.string() + ":" + std::to_string(number) + ": a row needs 'id', 'labels' and 'corrupted'");
    }
    truth.emplace(row["id"].get<std::string>(), std::move(row));
  }
  return truth;
}

void write_clean_labels(const DataFiles& data) {
  const auto truth = read_truth(data.truth);
  std::istringstream lines(core::read_file(data.train));
  std::string clean;
  for (std::string line; std::getline(lines, line);) {
    Json row = Json::parse(line);
    row["labels"] = truth.at(row.at("id").get<std::string>()).at("labels");
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

SeedRuns::SeedRuns(fs::path directory, uint64_t seed, run::RunConfig config, DataFiles data, const core::Context& context)
    : directory_(std::move(directory)), seed_(seed), config_(std::move(config)), data_(std::move(data)), context_(context) {}

eval::EvalResult SeedRuns::train(const Arm& arm) {
  run::RunConfig config = config_;
  config.run.dir = directory_of(arm);
  config.run.seed = seed_;
  config.data.train = arm.clean_labels ? data_.clean : data_.train;
  config.eval.data = data_.test;
  config.refine = arm.refine;
  config.balance.strategy = arm.balance;
  if (arm.refine.strategy != "none" && arm.refine.profile == "auto") {
    profile();
    config.refine.profile = (directory_ / "profile").string();
  }
  const auto comm = dist::make_single();
  const run::TrainOutcome outcome = run::train_run(config, "auto", *comm, context_);
  if (outcome.stopped_by_signal) {
    throw core::Error("stopped; a checkpoint was written, start the same command again to continue", core::ExitStatus::stopped);
  }
  return *outcome.evaluation;
}

const influence::Profile& SeedRuns::profile() {
  if (profile_) return *profile_;
  train(kBaseline);
  const auto comm = dist::make_single();
  profile_ = run::profile_run({.model_dir = directory_of(kBaseline) / "model", .data_file = data_.train, .out_dir = directory_ / "profile",
                               .data = config_.data, .dtype = config_.model.dtype}, *comm, context_);
  return *profile_;
}

core::Tensor corrupted_cells(const influence::Profile& profile, const fs::path& truth_file) {
  const auto truth = read_truth(truth_file);
  const size_t dimensions = profile.dimensions.size();
  core::Tensor corrupted_NK = at::zeros({static_cast<int64_t>(profile.ids.size()), static_cast<int64_t>(dimensions)}, at::kByte);
  for (size_t n = 0; n < profile.ids.size(); ++n) {
    const auto row = truth.find(profile.ids[n]);
    if (row == truth.end()) throw core::DataError(truth_file.string() + ": sample '" + profile.ids[n] + "' is missing", profile.ids[n]);
    for (size_t k = 0; k < dimensions; ++k) {
      corrupted_NK.mutable_data_ptr<uint8_t>()[n * dimensions + k] = row->second["corrupted"].value(profile.dimensions[k], false) ? 1 : 0;
    }
  }
  return corrupted_NK;
}

std::vector<double> auroc_by_dimension(const core::Tensor& risk_NK, const core::Tensor& corrupted_NK) {
  core::check_shape(risk_NK, corrupted_NK.sizes().vec(), "risk");
  const core::Tensor risk = risk_NK.to(at::kDouble).t().contiguous(), corrupted = corrupted_NK.t().contiguous();
  const int64_t samples = risk.size(1);
  std::vector<double> areas;
  double sum = 0;
  for (int64_t k = 0; k < risk.size(0); ++k) {
    const double* values = risk.const_data_ptr<double>() + k * samples;
    const uint8_t* flags = corrupted.const_data_ptr<uint8_t>() + k * samples;
    areas.push_back(refine::auroc({values, values + samples}, {flags, flags + samples}));
    sum += areas.back();
  }
  areas.push_back(sum / static_cast<double>(risk.size(0)));
  return areas;
}

}  // namespace mvrm::experiment
