// SPDX-License-Identifier: Apache-2.0
// train.collect_influence against the model as it really was at each step, after a resume, on two ranks, and in a plan.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/refine/strategy.h>
#include <mvrm/run/profile_run.h>
#include <mvrm/run/train_run.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tests/support/program.h"
#include "tests/support/tiny_model_dir.h"

namespace mvrm::run {
namespace {

namespace fs = std::filesystem;

class OnlineRun : public testing::Test {
 protected:
  void SetUp() override {
    test::write_tiny_model_dir(scratch_.path / "model");
    const data::Manifest manifest = test::tiny_manifest(scratch_.path, 14);
    std::ofstream file(scratch_.path / "data.jsonl");
    for (const auto& sample : manifest.samples) {
      nlohmann::json row{{"id", sample.id}, {"prompt", sample.prompt}, {"images", nlohmann::json::array()}, {"labels", nlohmann::json::object()}};
      for (const auto& image : sample.images) row["images"].push_back(image.filename().string());
      for (size_t k = 0; k < 2; ++k) {
        if (!std::isnan(sample.label_K[k])) row["labels"][manifest.dimensions[k]] = sample.label_K[k];
      }
      file << row.dump() << "\n";
    }
  }
  RunConfig config(const std::string& dir, int64_t steps, bool collect = true) const {
    RunConfig made;
    made.run.dir = scratch_.path / dir;
    made.model.path = scratch_.path / "model";
    made.data.train = scratch_.path / "data.jsonl";
    made.training.train = {.epochs = 1, .batch = 4, .micro_batch = 2, .max_steps = steps, .collect_influence = collect};
    made.training.optimizer.lr = 0.01;
    made.training.schedule = {.kind = "constant", .warmup_ratio = 0};
    made.training.checkpoint.every = 2;
    return made;
  }
  static void train(const RunConfig& wanted, const std::string& resume = "auto") { train_run(wanted, resume, *dist::make_single(), {}); }
  std::string bytes(const std::string& dir) const { return test::slurp(scratch_.path / dir / "online_profile" / "profile.safetensors"); }
  influence::Profile profile_of(const fs::path& model, const std::string& out) const {
    return profile_run({.model_dir = model, .data_file = scratch_.path / "data.jsonl", .out_dir = scratch_.path / out}, *dist::make_single(), {});
  }
  test::Scratch scratch_{"online_run"};
};

TEST_F(OnlineRun, HoldsWhatTheModelSaidBeforeEachStep) {
  train(config("run", 0));
  const influence::Profile online = influence::read_profile(scratch_.path / "run" / "online_profile");
  ASSERT_EQ(online.ids.size(), 14U);
  EXPECT_EQ(online.done_N.sum().item<int64_t>(), 14) << "one epoch sees every sample";
  std::istringstream log(test::slurp(scratch_.path / "run" / "online_profile" / "visits.jsonl"));
  std::string line;
  std::getline(log, line);
  double moved = 0;
  for (int64_t step = 1; std::getline(log, line); ++step) {
    // The model that step `step` saw is the final one of a run that is one step shorter.
    const std::string before = "before" + std::to_string(step);
    if (step > 1) train(config(before, step - 1, false));
    const auto frozen = profile_of(step > 1 ? scratch_.path / before / "model" : scratch_.path / "model", before + "_profile");
    const auto visit = nlohmann::json::parse(line);
    ASSERT_EQ(visit.at("step"), step);
    EXPECT_EQ(visit.at("lr"), 0.01);
    for (const int64_t n : visit.at("rows").get<std::vector<int64_t>>()) {
      EXPECT_TRUE(at::allclose(online.residual_NK[n], frozen.residual_NK[n], 1e-4, 1e-4, true)) << step << " " << n;
      EXPECT_TRUE(at::allclose(online.self_influence_NK[n], 0.01 * frozen.self_influence_NK[n], 1e-3, 1e-5, true)) << step << " " << n;
      if (step == 4) moved += (frozen.prediction_NK[n] - profile_of(scratch_.path / "model", "before1_profile").prediction_NK[n]).abs().sum().item<double>();
    }
  }
  EXPECT_GT(moved, 1e-2) << "the weights moved between the steps";
  const auto [plan, summary] = refine::refine(online, {.strategy = "ddp", .alpha_percent_K = {10, 10}});
  EXPECT_GE(summary.removed, 2);
  EXPECT_EQ(plan.ids.size(), 14U);
}

TEST_F(OnlineRun, AResumedRunLeavesTheSameProfile) {
  train(config("whole", 0));
  train(config("cut", 0));
  ASSERT_TRUE(bytes("cut") == bytes("whole"));
  ASSERT_TRUE(fs::exists(scratch_.path / "cut" / "checkpoints" / "step-2"));
  fs::remove(scratch_.path / "cut" / "done");   // as if it had died behind its first checkpoint, in the middle of a line
  fs::remove_all(scratch_.path / "cut" / "checkpoints" / "step-4");
  fs::remove(scratch_.path / "cut" / "online_profile" / "profile.safetensors");
  const auto log = scratch_.path / "cut" / "online_profile" / "visits.jsonl";
  fs::resize_file(log, fs::file_size(log) - 20);
  train(config("cut", 0));
  EXPECT_TRUE(bytes("cut") == bytes("whole"));
  EXPECT_TRUE(test::slurp(log) == test::slurp(scratch_.path / "whole" / "online_profile" / "visits.jsonl"));
}

TEST_F(OnlineRun, TwoRanksLeaveTheProfileOfOne) {
  train(config("one", 0));
  auto ranks = dist::make_thread_ranks(2);
  std::vector<std::thread> threads;
  for (auto& rank : ranks) threads.emplace_back([&] { train_run(config("two", 0), "auto", *rank, {}); });
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(bytes("two") == bytes("one"));
  EXPECT_FALSE(bytes("one").empty());
}

TEST_F(OnlineRun, CollectingIsLookingOnOnly) {
  train(config("with", 0));
  train(config("without", 0, false));
  EXPECT_TRUE(test::slurp(scratch_.path / "with/model/model.safetensors") == test::slurp(scratch_.path / "without/model/model.safetensors"));
  EXPECT_TRUE(test::slurp(scratch_.path / "with/done") == test::slurp(scratch_.path / "without/done"));
  EXPECT_FALSE(fs::exists(scratch_.path / "without/online_profile"));
}

TEST_F(OnlineRun, SamplesThatThePlanTakesAreNotInIt) {
  RunConfig pruned = config("pruned", 0);
  auto plan = refine::keep_all({"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13"}, test::tiny_config(2).dimensions);
  plan.keep_N[3] = 0;
  plan.weight_NK[3].fill_(0);
  plan.label_NK = at::full({14, 2}, std::nanf(""), at::kFloat);
  plan.label_NK[5][0] = 4.0F;
  refine::write_plan(scratch_.path / "plan.jsonl", plan);
  pruned.refine.plan = scratch_.path / "plan.jsonl";
  train(pruned);
  const influence::Profile online = influence::read_profile(scratch_.path / "pruned" / "online_profile");
  EXPECT_EQ(online.done_N[3].item<int64_t>(), 0);
  EXPECT_EQ(online.done_N.sum().item<int64_t>(), 13);
  EXPECT_EQ(online.label_NK[5][0].item<double>(), 4.0) << "the label that training used";
}

}  // namespace
}  // namespace mvrm::run
