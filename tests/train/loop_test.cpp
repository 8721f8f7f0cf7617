// SPDX-License-Identifier: Apache-2.0
// Whole runs of a tiny model: resume, checkpoints, what is refused. That ranks and knobs change no bit is same_bits_test.cpp.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/train/checkpoint.h>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/train/ranks.h"

namespace mvrm::train {
namespace {

using test::run_tiny;
using test::same_bits;

class Loop : public testing::Test {
 protected:
  void SetUp() override { at::set_num_threads(1); }   // as run/process.cpp does: how a product is cut among threads shows in its last bits
  test::Scratch scratch_{"loop"};
  model::ModelConfig config_ = test::tiny_config();
  Samples samples_ = test::tiny_samples(config_, 16);
  int runs_ = 0;
  test::TinyRun run(int64_t steps, int64_t ranks = 1) { return {.config = test::tiny_train_config(steps), .ranks = ranks, .dir = scratch_.path / std::to_string(runs_++)}; }
};

TEST_F(Loop, SketchedPcgradIsTheSameOnEveryNumberOfRanks) {
  test::TinyRun base = run(5);
  base.config.balance.strategy = "pcgrad";
  base.config.balance.pcgrad = {.gram = "sketch", .sketch_size = 1001};
  const auto expected = run_tiny(base, samples_);
  for (const int64_t ranks : {2, 4}) {
    test::TinyRun other = run(5, ranks);
    other.config = base.config;
    if (ranks == 4) other.config.dist.reshard = "free", other.config.dist.reduce = "micro";
    EXPECT_TRUE(same_bits(expected, run_tiny(other, samples_))) << ranks;
  }
}

// Loss and gradient norm of every step, as text: nothing is rounded away.
std::vector<std::string> losses(const std::filesystem::path& dir) {
  std::vector<std::string> found;
  std::istringstream lines(test::slurp(dir / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto row = nlohmann::json::parse(line);
    found.push_back(row.at("step").dump() + " " + row.at("loss").dump() + " " + row.at("grad_norm").dump());
  }
  return found;
}

TEST_F(Loop, ResumesBitForBitOnAnyNumberOfRanks) {
  constexpr int64_t kSteps = 30;
  for (const char* strategy : {"equal", "uncertainty_weighting"}) {
    test::TinyRun whole = run(kSteps);
    whole.config.balance.strategy = strategy;
    const auto expected = run_tiny(whole, samples_);
    for (const auto& [before, after] : std::vector<std::pair<int64_t, int64_t>>{{4, 1}, {4, 2}, {1, 1}, {2, 4}}) {
      if (std::string(strategy) != "equal" && before != 4) continue;
      // A run of 30 steps that is cut behind 17: the checkpoint of step 17 is the newest.
      test::TinyRun cut = run(kSteps, before);
      cut.config.balance.strategy = strategy;
      cut.config.checkpoint.every = 17;
      run_tiny(cut, samples_);
      test::TinyRun rest = cut;
      rest.ranks = after;
      rest.resume = "auto";
      std::vector<TrainResult> results;
      EXPECT_TRUE(same_bits(expected, run_tiny(rest, samples_, &results))) << strategy << ", " << before << " to " << after << " ranks";
      EXPECT_EQ(results.front().steps, kSteps);
      EXPECT_EQ(losses(cut.dir), losses(whole.dir)) << strategy << ", " << before << " to " << after << " ranks";
    }
  }
}

TEST_F(Loop, ResumesInBfloat16BitForBit) {
  for (const char* order : {"ordered", "fast"}) {
    test::TinyRun whole = run(12);
    whole.dtype = at::kBFloat16;
    whole.config.dist.order = order;
    const auto expected = run_tiny(whole, samples_);
    test::TinyRun cut = whole;
    cut.dir = run(0).dir;
    cut.config.checkpoint.every = 7;
    EXPECT_TRUE(same_bits(expected, run_tiny(cut, samples_))) << order;
    cut.resume = "auto";
    EXPECT_TRUE(same_bits(expected, run_tiny(cut, samples_))) << order;
  }
}

TEST_F(Loop, RefusesTheCheckpointOfAnotherRun) {
  test::TinyRun first = run(4);
  first.config.checkpoint.every = 3;
  run_tiny(first, samples_);
  first.resume = "auto";
  first.config.optimizer.lr = 2e-3;
  first.config.balance.strategy = "rlw";
  try {
    run_tiny(first, samples_);
    FAIL() << "was taken";
  } catch (const core::ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("optimizer.lr was 0.003"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("balance was equal and is rlw"), std::string::npos) << error.what();
  }
}

TEST_F(Loop, ADamagedCheckpointIsPassedOver) {
  test::TinyRun whole = run(12);
  const auto expected = run_tiny(whole, samples_);
  test::TinyRun cut = run(12, 2);
  cut.config.checkpoint.every = 4;
  run_tiny(cut, samples_);
  const auto newest = cut.dir / "checkpoints" / "step-8";
  ASSERT_TRUE(std::filesystem::exists(newest / "state-1-of-2.safetensors"));
  std::filesystem::resize_file(newest / "state-1-of-2.safetensors", 1000);
  EXPECT_EQ(newest_checkpoint(cut.dir, core::Log())->filename(), "step-4");
  cut.resume = "auto";
  EXPECT_TRUE(same_bits(expected, run_tiny(cut, samples_)));
  EXPECT_FALSE(std::filesystem::exists(cut.dir / "checkpoints" / ".tmp-step-8"));
}

TEST_F(Loop, ObserveSeesEveryUsedSampleOnce) {
  model::RewardModel model = test::tiny_model();
  const auto reward_BK = model::forward(model, test::tiny_batch(config_, 16)).reward_BK;
  std::map<int64_t, int> seen;
  TrainJob job{.config = test::tiny_train_config(3), .run_dir = run(0).dir, .processor_dir = {}, .resume = "never"};
  job.observe = [&](int64_t step, double, const std::vector<SampleView>& views) {
    for (const auto& view : views) {
      ++seen[view.sample];
      EXPECT_GT(view.feature_sq_norm, 0);
      // The first step's learning rate is 0: the second sees the first weights too.
      if (step > 2) continue;
      EXPECT_NEAR(view.reward_K[1], reward_BK[view.sample][1].item<double>(), 1e-4);
    }
  };
  const auto comm = dist::make_single();
  run_training(model, samples_, job, *comm, {});
  EXPECT_EQ(seen.size(), 16u);
  for (const auto& [sample, times] : seen) EXPECT_EQ(times, 1) << sample;
}

TEST_F(Loop, StopsAfterThreeStepsInARowWithoutANumber) {
  Samples broken = samples_;
  broken.load = [load = samples_.load](const std::vector<int64_t>& wanted) {
    auto loaded = load(wanted);
    loaded.batch.pixels_RCHW.fill_(std::nanf(""));
    return loaded;
  };
  test::TinyRun failing = run(10);
  try {
    run_tiny(failing, broken);
    FAIL() << "went on";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.status(), core::ExitStatus::numeric);
    EXPECT_NE(std::string(error.what()).find("step 3"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("s1"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace mvrm::train
