// SPDX-License-Identifier: Apache-2.0
// Whole runs of a tiny model: resume, checkpoints, what is refused. That ranks and knobs change no bit is same_bits_test.cpp.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <atomic>
#include <csignal>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/train/checkpoint.h>
#include <nlohmann/json.hpp>
#include <sstream>
#include <tuple>

#include "tests/support/lost_peer.h"
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

// Whatever a run allocates and doesn't write is NaN here: it shows where somebody reads it.
TEST_F(Loop, NothingReadsMemoryThatWasNotWritten) {
  auto& context = at::globalContext();
  const bool deterministic = context.deterministicAlgorithms(), fill = context.deterministicFillUninitializedMemory();
  for (const auto& [dtype, ranks, reshard] : std::vector<std::tuple<at::ScalarType, int64_t, const char*>>{{at::kFloat, 1, "keep"}, {at::kBFloat16, 1, "keep"}, {at::kBFloat16, 2, "free"}}) {
    test::TinyRun job = run(6, ranks);
    job.dtype = dtype;
    job.config.dist.reshard = reshard;
    job.config.dist.order = "fast";
    job.config.checkpoint.every = 4;
    const auto expected = run_tiny(job, samples_);
    context.setDeterministicAlgorithms(true, /*warn_only=*/false);
    context.setDeterministicFillUninitializedMemory(true);
    job.dir = run(0).dir;
    const auto filled = run_tiny(job, samples_);
    job.resume = "auto";
    const auto resumed = run_tiny(job, samples_);
    context.setDeterministicAlgorithms(deterministic, /*warn_only=*/false);
    context.setDeterministicFillUninitializedMemory(fill);
    EXPECT_TRUE(same_bits(expected, filled)) << dtype << ", " << ranks << " ranks";
    EXPECT_TRUE(same_bits(expected, resumed)) << dtype << ", " << ranks << " ranks, resumed";
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

TEST_F(Loop, ADamagedCheckpointIsNotTakenByItsPathEither) {
  test::TinyRun cut = run(12, 2);
  cut.config.checkpoint.every = 4;
  run_tiny(cut, samples_);
  const auto newest = cut.dir / "checkpoints" / "step-8", state = newest / "state-1-of-2.safetensors";
  cut.ranks = 1;
  cut.resume = newest.string();
  run_tiny(cut, samples_);
  const std::string model = test::slurp(cut.dir / "model" / "model.safetensors");
  const auto refused = [&](const std::string& part) {
    try {
      run_tiny(cut, samples_);
      ADD_FAILURE() << "was taken: " << part;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.status(), core::ExitStatus::model) << error.what();
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
    EXPECT_TRUE(test::slurp(cut.dir / "model" / "model.safetensors") == model);
  };
  std::string bytes = test::slurp(state);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  std::ofstream(state, std::ios::binary) << bytes;
  refused("state-1-of-2.safetensors: differs from its manifest");
  std::ofstream(newest / "manifest.json") << "{\"format\": 2, \"files\": 3}";
  refused("manifest.json: is not a checkpoint manifest");
  cut.resume = (cut.dir / "checkpoints" / "step-5").string();
  refused("manifest.json");
}

TEST_F(Loop, RuinedWeightsAreNotSaved) {
  for (const int64_t every : {1000, 2}) {   // found at the end; found at a checkpoint
    test::TinyRun ruined = run(3);
    ruined.config.optimizer.lr = 1e38;
    ruined.config.schedule.kind = "constant";
    ruined.config.schedule.warmup_ratio = 0;
    ruined.config.checkpoint.every = every;
    try {
      run_tiny(ruined, samples_);
      FAIL() << "went on";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.status(), core::ExitStatus::numeric);
      EXPECT_NE(std::string(error.what()).find("the weights are not finite any more"), std::string::npos) << error.what();
    }
    EXPECT_FALSE(std::filesystem::exists(ruined.dir / "model"));
    EXPECT_FALSE(newest_checkpoint(ruined.dir, core::Log()));
  }
}

// A signal in the middle of a step of six micro-batches: what is left of it isn't computed, and computed again behind the resume.
TEST_F(Loop, AStepIsAbandonedForASignal) {
  const auto expected = run_tiny(run(4), samples_);
  for (const auto& [ranks, threads, pcgrad] : std::vector<std::tuple<int64_t, int64_t, const char*>>{{1, 1, ""}, {1, 2, ""}, {2, 1, ""}, {1, 1, "shards"}, {1, 1, "sketch"}}) {
    test::TinyRun stopped = run(4, ranks);
    stopped.threads = threads;
    if (*pcgrad != 0) stopped.config.balance.strategy = "pcgrad", stopped.config.balance.pcgrad.gram = pcgrad;
    test::TinyRun whole = stopped;
    whole.dir = run(0).dir;
    const auto wanted = *pcgrad == 0 ? expected : run_tiny(whole, samples_);
    Samples interrupted = samples_;
    std::atomic<int> loads{0};
    interrupted.load = [&](const std::vector<int64_t>& rows) {
      if (++loads == 8) ::raise(SIGTERM);   // the second of the second step
      return samples_.load(rows);
    };
    std::vector<TrainResult> results;
    run_tiny(stopped, interrupted, &results);
    const bool twice = std::string(pcgrad) == "sketch";   // each micro-batch is loaded for the sketch, then for the gradient
    for (const auto& result : results) {
      EXPECT_TRUE(result.stopped_by_signal);
      EXPECT_EQ(result.steps, twice ? 0 : 1);
    }
    EXPECT_LE(loads, 8 + std::max(ranks, threads) - 1) << ranks << " ranks, " << threads << " threads";
    stopped.resume = "auto";
    EXPECT_TRUE(same_bits(wanted, run_tiny(stopped, samples_, &results))) << ranks << " ranks, " << threads << " threads " << pcgrad;
    EXPECT_EQ(results.front().steps, 4);
  }
}

TEST_F(Loop, EndsBetweenMicroBatchesWhereAPeerIsLost) {
  const test::TinyRun job = run(5);
  EXPECT_TRUE(test::stops_where_a_peer_is_lost(9, [&](dist::Communicator& comm) {   // the third of the second step
    model::RewardModel model = test::tiny_model();
    run_training(model, samples_, {.config = job.config, .run_dir = job.dir, .processor_dir = {}, .resume = "never"}, comm, {});
  }));
  EXPECT_EQ(losses(job.dir).size(), 1U);
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
  // A resume doesn't begin to count anew.
  test::TinyRun resumed = run(10);
  resumed.config.checkpoint.every = 2;
  EXPECT_THROW(run_tiny(resumed, broken), core::Error);
  resumed.resume = "auto";
  try {
    run_tiny(resumed, broken);
    FAIL() << "went on";
  } catch (const core::Error& error) {
    EXPECT_NE(std::string(error.what()).find("step 3"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace mvrm::train
