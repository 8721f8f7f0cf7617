// SPDX-License-Identifier: Apache-2.0
#include "study.h"

#include <charconv>
#include <mvrm/core/error.h>

namespace mvrm::experiment {

namespace fs = std::filesystem;

namespace {

run::RunConfig training_of(const ExperimentConfig& config, const fs::path& model) {
  run::RunConfig training = config.training;
  training.data = config.data.reading;
  training.model.path = model;
  return training;
}

DataFiles rendered(const fs::path& directory) {
  return {.train = directory / "train.jsonl", .test = directory / "test.jsonl", .clean = directory / "train_clean.jsonl", .truth = directory / "truth.jsonl"};
}

}  // namespace

std::string name_of(Group group) {
  switch (group) {
    case Group::main: return "main";
    case Group::backbone: return "backbone";
    case Group::same_data: return "same_data";
    case Group::planted: return "planted";
  }
  return "";
}

Study::Study(const ExperimentConfig& config, fs::path directory, dist::Communicator* comm) : config_(config), directory_(std::move(directory)), comm_(comm) {
  const auto folder = [&](Group group, uint64_t seed) { return directory_ / name_of(group) / ("seed-" + std::to_string(seed)); };
  for (const Group group : {Group::main, Group::backbone, Group::same_data, Group::planted}) {
    for (int64_t s = 0; s < seeds(); ++s) {
      const uint64_t seed = config_.experiment.seed + static_cast<uint64_t>(s);
      const uint64_t data_seed = group == Group::same_data ? config_.experiment.seed : seed;
      DataFiles data = config_.renders() ? rendered(directory_ / "data" / ("seed-" + std::to_string(data_seed)))
                                         : DataFiles{.train = config_.data.reading.train, .test = config_.data.reading.test,
                                                     .clean = config_.data.clean, .truth = config_.data.truth};
      if (group == Group::planted) {
        data.train = folder(group, seed) / "train.jsonl";
        data.truth = folder(group, seed) / "truth.jsonl";
      }
      const fs::path model = group == Group::backbone ? backbone_model() : config_.training.model.path;
      groups_[group].emplace_back(folder(group, seed), seed, training_of(config_, model), std::move(data), comm);
    }
  }
}

Group Study::resolved(Group group, int64_t seed) const {
  return group == Group::same_data && (seed == 0 || !config_.renders()) ? Group::main : group;
}

fs::path Study::backbone_model() const {
  return config_.backbone.model.empty() ? directory_ / "backbone" / "pretraining" / "model" : config_.backbone.model;
}

fs::path Study::pairs_directory(int64_t seed) const {
  return directory_ / "pairs" / ("seed-" + std::to_string(config_.experiment.seed + static_cast<uint64_t>(seed)));
}

const eval::Predictions& Study::test_rewards(Group group, int64_t seed, const Arm& arm) {
  const fs::path path = runs(group, seed).directory_of(arm) / "predictions.jsonl";
  const std::lock_guard lock(mutex_);
  if (const auto known = rewards_.find(path); known != rewards_.end()) return known->second;
  return rewards_.emplace(path, eval::read_predictions(path)).first->second;
}

const influence::Profile& Study::profile(Group group, int64_t seed) {
  const fs::path path = runs(group, seed).directory() / "profile";
  const std::lock_guard lock(mutex_);
  if (const auto known = profiles_.find(path); known != profiles_.end()) return known->second;
  return profiles_.emplace(path, influence::read_profile(path)).first->second;
}

std::string text_of(double number) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, number);
  MVRM_CHECK(error == std::errc{}, "a number that can't be written");
  return {text, end};
}

Arm pruning_arm(const std::string& strategy, double alpha_percent, const std::string& budget) {
  return {.name = strategy + "-alpha-" + text_of(alpha_percent) + (budget == "alpha" ? "" : "-" + budget),
          .refine = {.strategy = strategy, .alpha = config::ScalarOrMap{.scalar = alpha_percent}, .budget = budget}};
}

Arm reweighting_arm(const std::string& strategy, double tau) {
  return {.name = strategy + "-tau-" + text_of(tau), .refine = {.strategy = strategy, .tau = tau}};
}

Arm pruning_and_reweighting_arm(double alpha_percent, double tau) {
  return {.name = "ddp+ddr-alpha-" + text_of(alpha_percent) + "-tau-" + text_of(tau),
          .refine = {.strategy = "ddp+ddr", .alpha = config::ScalarOrMap{.scalar = alpha_percent}, .tau = tau}};
}

Arm balancing_arm(const std::string& strategy) { return {.name = strategy, .balance = strategy}; }

}  // namespace mvrm::experiment
