// SPDX-License-Identifier: Apache-2.0
// Whole runs of a tiny model: whatever only moves the work around must not move a bit.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/train/checkpoint.h>

#include "tests/train/ranks.h"

namespace mvrm::train {
namespace {

using test::run_tiny;
using test::same_bits;

class Loop : public testing::Test {
 protected:
  test::Scratch scratch_{"loop"};
  model::ModelConfig config_ = test::tiny_config();
  Samples samples_ = test::tiny_samples(config_, 16);
  int runs_ = 0;
  test::TinyRun run(int64_t steps, int64_t ranks = 1) { return {.config = test::tiny_train_config(steps), .ranks = ranks, .dir = scratch_.path / std::to_string(runs_++)}; }

  // The plans of the acceptance list, as the weights they give.
  Samples planned(const std::string& name) {
    Samples samples = samples_;
    core::CounterRng random(5, name);
    if (name == "ddp") {   // whole samples dropped
      samples = test::tiny_samples(config_, 13);
    } else if (name == "ddr") {
      for (int64_t n = 0; n < 16; ++n)
        for (int64_t k = 0; k < 5; ++k) samples.weight_NK[n][k] = random.uniform(0.2, 1.8);
    } else if (name == "mask") {
      for (int64_t n = 0; n < 16; n += 3) samples.weight_NK[n][n % 5] = 0;
    }
    return samples;
  }
  static TrainConfig balanced(TrainConfig config, const std::string& name) {
    if (name == "uncertainty_weighting" || name == "pcgrad" || name == "rlw") config.balance.strategy = name;
    return config;
  }
};

TEST_F(Loop, EveryKnobAndWorldSizeGivesTheSameBits) {
  test::TinyRun base = run(30);
  const auto expected = run_tiny(base, samples_);
  EXPECT_FALSE(same_bits(expected, test::parameters_of(test::tiny_model())));
  for (const int64_t ranks : {1, 2, 4}) {
    for (const char* reshard : {"keep", "free"}) {
      for (const char* reduce : {"step", "micro"}) {
        for (const char* recompute : {"always", "never"}) {
          test::TinyRun other = run(30, ranks);
          other.config.dist.reshard = reshard;
          other.config.dist.reduce = reduce;
          other.config.train.recompute = recompute;
          other.threads = ranks == 1 ? 2 : 1;
          EXPECT_TRUE(same_bits(expected, run_tiny(other, samples_))) << ranks << " ranks, " << reshard << ", " << reduce << ", recompute " << recompute;
        }
      }
    }
  }
}

TEST_F(Loop, EveryPlanAndBalanceGivesTheSameBitsOnTwoAndFourRanks) {
  constexpr int64_t kSteps = 12;
  std::map<std::string, std::map<std::string, at::Tensor>> results;
  for (const char* name : {"none", "ddp", "ddr", "mask", "uncertainty_weighting", "rlw", "pcgrad"}) {
    const Samples samples = planned(name);
    test::TinyRun base = run(kSteps);
    base.config = balanced(base.config, name);
    const auto expected = results[name] = run_tiny(base, samples);
    for (const int64_t ranks : {2, 4}) {
      test::TinyRun other = run(kSteps, ranks);
      other.config = balanced(other.config, name);
      if (ranks == 4) other.config.dist.reshard = "free", other.config.dist.reduce = "micro";
      EXPECT_TRUE(same_bits(expected, run_tiny(other, samples))) << name << ", " << ranks << " ranks";
    }
    // In float64 where bits may differ: Adam turns the noise of a nearly zero gradient into whole steps.
    test::TinyRun exact = base, three = run(kSteps, 3), fast = run(kSteps, 2);
    exact.dir = run(0).dir;
    exact.dtype = three.dtype = fast.dtype = at::kDouble;
    three.config = fast.config = base.config;
    fast.config.dist.order = "fast";
    const auto reference = run_tiny(exact, samples);
    EXPECT_LT(test::worst_difference(reference, run_tiny(three, samples)), 1e-6) << name;
    EXPECT_LT(test::worst_difference(reference, run_tiny(fast, samples)), 1e-6) << name;
  }
  for (const auto& [name, weights] : results) EXPECT_EQ(same_bits(weights, results["none"]), name == "none") << name;
}

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

TEST_F(Loop, ResumesBitForBitOnAnyNumberOfRanks) {
  for (const char* strategy : {"equal", "uncertainty_weighting"}) {
    test::TinyRun whole = run(12);
    whole.config.balance.strategy = strategy;
    const auto expected = run_tiny(whole, samples_);
    for (const auto& [before, after] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {4, 1}, {4, 2}, {2, 4}}) {
      // A run of 12 steps that is cut after 7: the checkpoint of step 7 is the newest.
      test::TinyRun cut = run(12, before);
      cut.config.balance.strategy = strategy;
      cut.config.checkpoint.every = 7;
      run_tiny(cut, samples_);
      test::TinyRun rest = cut;
      rest.ranks = after;
      rest.resume = "auto";
      std::vector<TrainResult> results;
      EXPECT_TRUE(same_bits(expected, run_tiny(rest, samples_, &results))) << strategy << ", " << before << " to " << after << " ranks";
      EXPECT_EQ(results.front().steps, 12);
      const std::string metrics = test::slurp(cut.dir / "metrics.jsonl");
      EXPECT_EQ(std::count(metrics.begin(), metrics.end(), '\n'), 12);
    }
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
