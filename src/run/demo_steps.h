// SPDX-License-Identifier: Apache-2.0
// The steps of the demo for one seed; demo_run.cpp strings them together and averages over seeds.
#pragma once
#include <mvrm/influence/profile.h>
#include <mvrm/run/demo_run.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace mvrm::run {

// What a demo of one seed runs on. Arms are trained from the same base and seed.
struct DemoSetting {
  std::filesystem::path directory, base_model;
  int64_t videos = 0, test_videos = 0;
  double noise = 0.10, alpha_percent = 5.0;
  uint64_t seed = 42;
};
inline constexpr const char* kDemoArms[] = {"baseline", "ddp", "ddr", "mask", "random", "clean labels"};

// Renders the clips and writes train_clean.jsonl (the labels before corruption) beside train.jsonl.
void render_demo_data(const DemoSetting& setting, const core::Context& context);
// Trains one arm (an entry of kDemoArms) and evaluates it on the clean test clips: {dimension: spearman, …, "mean"}.
nlohmann::ordered_json train_demo_arm(const DemoSetting& setting, const std::string& arm, const core::Context& context);
// Profiles the training set with the baseline's model.
influence::Profile profile_demo(const DemoSetting& setting, const core::Context& context);
// AUROC of each risk score against the planted corruption: {method: {dimension: x, …, "mean"}}.
nlohmann::ordered_json demo_auroc(const DemoSetting& setting, const influence::Profile& profile);

}  // namespace mvrm::run
