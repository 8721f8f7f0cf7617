// SPDX-License-Identifier: Apache-2.0
#include "demo_steps.h"

#include <ATen/ATen.h>
#include <cmath>
#include <fstream>
#include <map>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/influence/estimator.h>
#include <mvrm/refine/strategy.h>
#include <mvrm/run/profile_run.h>
#include <mvrm/run/train_run.h>
#include <mvrm/synth/synth.h>
#include <sstream>

namespace mvrm::run {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

std::map<std::string, Json> read_truth(const fs::path& data_dir) {
  std::map<std::string, Json> truth;
  std::istringstream lines(core::read_file(data_dir / "truth.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    Json row = Json::parse(line);
    truth.emplace(row.at("id").get<std::string>(), std::move(row));
  }
  return truth;
}

void write_clean_labels(const fs::path& data_dir) {
  const auto truth = read_truth(data_dir);
  std::istringstream lines(core::read_file(data_dir / "train.jsonl"));
  std::string clean;
  for (std::string line; std::getline(lines, line);) {
    Json row = Json::parse(line);
    row["labels"] = truth.at(row.at("id").get<std::string>()).at("labels");
    clean += row.dump() + "\n";
  }
  core::write_file_atomic(data_dir / "train_clean.jsonl", clean);
}

std::string arm_folder(const std::string& arm) { return arm == "clean labels" ? "clean" : arm; }

// Chosen on rendered clips of other seeds: long enough to leave the base's labels behind, short enough not to learn the noise by heart.
train::TrainConfig fine_tuning() {
  train::TrainConfig config;
  config.train = {.epochs = 4, .batch = 32, .micro_batch = 16, .max_steps = 0};
  config.optimizer.lr = 5e-4;
  config.schedule = {.kind = "cosine", .warmup_ratio = 0.1};
  config.checkpoint = {.every = 1000, .keep = 1};
  return config;
}

Json auroc_of(const at::Tensor& score_NK, const influence::Profile& profile, const std::map<std::string, Json>& truth) {
  const at::Tensor score = score_NK.to(at::kDouble).contiguous();
  Json result;
  double sum = 0;
  for (size_t k = 0; k < profile.dimensions.size(); ++k) {
    std::vector<double> values;
    std::vector<uint8_t> corrupted;
    for (size_t n = 0; n < profile.ids.size(); ++n) {
      values.push_back(score.const_data_ptr<double>()[n * profile.dimensions.size() + k]);
      corrupted.push_back(truth.at(profile.ids[n]).at("corrupted").at(profile.dimensions[k]).get<bool>() ? 1 : 0);
    }
    const double area = refine::auroc(values, corrupted);
    result[profile.dimensions[k]] = area;
    sum += area;
  }
  result["mean"] = sum / static_cast<double>(profile.dimensions.size());
  return result;
}

}  // namespace

void render_demo_data(const DemoSetting& setting, const core::Context& context) {
  const fs::path data_dir = setting.directory / "data";
  synth::write_dataset(data_dir, {.videos = setting.videos, .test_videos = setting.test_videos, .noise = setting.noise, .seed = setting.seed},
                       context);
  write_clean_labels(data_dir);
}

Json train_demo_arm(const DemoSetting& setting, const std::string& arm, const core::Context& context) {
  const bool refined = arm != "baseline" && arm != "clean labels";
  RunConfig config;
  config.run = {.dir = setting.directory / arm_folder(arm), .seed = setting.seed};
  config.model.path = setting.base_model;
  config.data.train = setting.directory / "data" / (arm == "clean labels" ? "train_clean.jsonl" : "train.jsonl");
  config.eval.data = setting.directory / "data" / "test.jsonl";
  config.training = fine_tuning();
  if (refined) {
    config.refine.strategy = arm;
    config.refine.alpha = config::ScalarOrMap{.scalar = setting.alpha_percent};
    config.refine.profile = (setting.directory / "profile").string();
  }
  const auto comm = dist::make_single();
  const TrainOutcome outcome = train_run(config, "auto", *comm, context);
  if (outcome.stopped_by_signal) {
    throw core::Error("demo stopped; a checkpoint was written, start the same command again to continue", core::ExitStatus::stopped);
  }
  Json spearman;
  for (const auto& dimension : outcome.evaluation->dimensions) spearman[dimension.name] = dimension.spearman;
  spearman["mean"] = outcome.evaluation->mean;
  return spearman;
}

influence::Profile profile_demo(const DemoSetting& setting, const core::Context& context) {
  const auto comm = dist::make_single();
  return profile_run({.model_dir = setting.directory / "baseline" / "model", .data_file = setting.directory / "data" / "train.jsonl",
                      .out_dir = setting.directory / "profile", .data = {}}, *comm, context);
}

Json demo_auroc(const DemoSetting& setting, const influence::Profile& profile) {
  const auto truth = read_truth(setting.directory / "data");
  const at::Tensor scalar_N1 = influence::tracin_scalar(profile.self_influence_NK).unsqueeze(1);
  return {{"self-influence", auroc_of(profile.self_influence_NK, profile, truth)},
          {"loss", auroc_of(profile.residual_NK.to(at::kDouble).square(), profile, truth)},
          {"scalar TracIn", auroc_of(scalar_N1.expand({-1, static_cast<int64_t>(profile.dimensions.size())}), profile, truth)}};
}

}  // namespace mvrm::run
