// SPDX-License-Identifier: Apache-2.0
// Whatever only moves the work around must not move a bit: 30 steps of every plan and balance, on 1, 2 and 4 ranks, with every combination
// of reshard, reduce and recompute. 3 ranks and `fast` sum in another order and agree to 1e-6.
// What is crossed (thread ranks run the code of processes but for dist/gloo.cpp):
//   threads  no plan: 1, 2, 4 ranks x all 8 combinations; every other: all 8, four of them on 2 ranks and four on 4, the other way round
//            for its neighbour in the list
//   Gloo     no plan: all 8, four on 2 processes and four on 4; every other: one on 2 or 4 processes
#include <ATen/Parallel.h>
#include <array>
#include <bit>
#include <gtest/gtest.h>
#include <mvrm/core/random.h>

#include "tests/train/processes.h"

namespace mvrm::train {
namespace {

using test::run_tiny;
using test::same_bits;
using test::Weights;

constexpr int64_t kSteps = 30, kSamples = 15;   // the last step of an epoch is a short one
const std::array kPlans{"none", "ddp", "ddr", "mask", "uncertainty_weighting", "pcgrad"};

struct Knobs { const char *reshard, *reduce, *recompute; };
constexpr std::array<Knobs, 8> kCombinations{{{"keep", "step", "always"}, {"keep", "step", "never"}, {"keep", "micro", "always"}, {"keep", "micro", "never"},
                                              {"free", "step", "always"}, {"free", "step", "never"}, {"free", "micro", "always"}, {"free", "micro", "never"}}};

std::string text_of(const std::string& plan, int64_t ranks, const Knobs& knobs) {
  return plan + ", " + std::to_string(ranks) + " ranks, " + knobs.reshard + ", " + knobs.reduce + ", recompute " + knobs.recompute;
}

class SameBits : public testing::Test {
 protected:
  // Also what the program does (run/process.cpp); how a product is cut among threads would show in its last bits.
  void SetUp() override { at::set_num_threads(1); }
  void TearDown() override { at::set_num_threads(threads_before_); }

  // A strategy of refinement is the weights it gives to the trainer, or the samples it leaves.
  Samples planned(const std::string& name) const {
    Samples samples = test::tiny_samples(config_, name == "ddp" ? kSamples - 3 : kSamples);
    core::CounterRng random(5, name);
    for (int64_t n = 0; n < samples.weight_NK.size(0); ++n) {
      if (name == "mask" && n % 3 == 0) samples.weight_NK[n][n % 5] = 0;
      for (int64_t k = 0; name == "ddr" && k < 5; ++k) samples.weight_NK[n][k] = random.uniform(0.2, 1.8);
    }
    return samples;
  }
  test::TinyRun run(const std::string& plan, int64_t ranks, const Knobs& knobs) {
    test::TinyRun job{.config = test::tiny_train_config(kSteps), .ranks = ranks, .dir = scratch_.path / std::to_string(runs_++)};
    job.config.train.batch = all_ ? 8 : 4;
    if (plan == "uncertainty_weighting" || plan == "pcgrad") job.config.balance.strategy = plan;
    job.config.dist.reshard = knobs.reshard;
    job.config.dist.reduce = knobs.reduce;
    job.config.train.recompute = knobs.recompute;
    return job;
  }
  // True for four combinations of eight, in which each knob is set either way twice; for the other four where `turn` is odd.
  bool half(size_t combination, size_t turn) const { return (std::popcount(combination) + turn) % 2 == 0; }
  Weights on_one_rank(const std::string& plan) { return run_tiny(run(plan, 1, kCombinations.front()), planned(plan)); }

  // MVRM_SAME_BITS=all: every plan with every combination on 2 and on 4 ranks, two micro-batches a rank, for the record.
  const bool all_ = std::getenv("MVRM_SAME_BITS") != nullptr && std::string(std::getenv("MVRM_SAME_BITS")) == "all";
  const int threads_before_ = at::get_num_threads();
  test::Scratch scratch_{"same_bits"};
  model::ModelConfig config_ = test::tiny_config();
  int runs_ = 0;
};

TEST_F(SameBits, EveryPlanOnEveryNumberOfRanksWithEveryCombination) {
  std::map<std::string, Weights> results;
  for (const std::string plan : kPlans) {
    const Samples samples = planned(plan);
    const Weights& expected = results[plan] = on_one_rank(plan);
    for (const int64_t ranks : {1, 2, 4}) {
      for (size_t c = 0; c < kCombinations.size(); ++c) {
        const Knobs& knobs = kCombinations[c];
        if (!all_ && plan != "none" && ranks > 1 && (ranks == 2) != half(c, results.size())) continue;
        if (ranks == 1 && std::string(knobs.reshard) + knobs.reduce != "keepstep") continue;   // nothing to free, nobody to sum with
        test::TinyRun other = run(plan, ranks, knobs);
        other.threads = ranks == 1 ? 2 : 1;
        EXPECT_TRUE(same_bits(expected, run_tiny(other, samples))) << text_of(plan, ranks, knobs);
      }
    }
  }
  EXPECT_FALSE(same_bits(results["none"], test::parameters_of(test::tiny_model())));
  for (const auto& [plan, weights] : results) EXPECT_EQ(same_bits(weights, results["none"]), plan == "none") << plan;
}

// In float64: Adam turns the noise of a nearly zero gradient into whole steps. Each plan takes the combinations in turn.
TEST_F(SameBits, ThreeRanksAndFastAgreeToAMillionth) {
  double worst = 0;
  size_t turn = 0;
  for (const std::string plan : kPlans) {
    const Samples samples = planned(plan);
    const auto in_float64 = [&](int64_t ranks, const char* order) {
      test::TinyRun job = run(plan, ranks, kCombinations[turn++ % kCombinations.size()]);
      job.dtype = at::kDouble;
      job.config.dist.order = order;
      return run_tiny(job, samples);
    };
    const Weights expected = in_float64(1, "ordered");
    for (const auto& [ranks, order] : {std::pair{3, "ordered"}, {turn % 2 == 0 ? 2 : 4, "fast"}}) {
      const double difference = test::worst_difference(expected, in_float64(ranks, order));
      EXPECT_LT(difference, 1e-6) << plan << ", " << ranks << " ranks, " << order;
      worst = std::max(worst, difference);
    }
  }
  std::printf("3 ranks and fast | worst relative difference %.2g\n", worst);
}

TEST_F(SameBits, OverGlooBetweenProcesses) {
  size_t turn = 0;
  int runs = 0, same = 0;
  for (const std::string plan : kPlans) {
    const Samples samples = planned(plan);
    const Weights expected = on_one_rank(plan);
    ++turn;
    for (size_t c = 0; c < kCombinations.size(); ++c) {
      for (const int64_t ranks : {2, 4}) {
        if (!all_ && ((plan != "none" && c != turn) || ranks != (half(c, turn) ? 2 : 4))) continue;
        const bool equal = same_bits(expected, test::run_tiny_processes(run(plan, ranks, kCombinations[c]), samples));
        EXPECT_TRUE(equal) << text_of(plan, ranks, kCombinations[c]);
        ++runs;
        same += equal ? 1 : 0;
      }
    }
  }
  std::printf("over Gloo | %d runs, %d with the bits of one rank\n", runs, same);
}

TEST_F(SameBits, GlooAddsUpToAMillionthWhereTheOrderIsItsOwn) {
  const Samples samples = planned("none");
  test::TinyRun alone = run("none", 1, kCombinations[0]), three = run("none", 3, kCombinations[6]), fast = run("none", 4, kCombinations[2]);
  alone.dtype = three.dtype = fast.dtype = at::kDouble;
  fast.config.dist.order = "fast";
  const Weights expected = run_tiny(alone, samples);
  EXPECT_LT(test::worst_difference(expected, test::run_tiny_processes(three, samples)), 1e-6);
  EXPECT_LT(test::worst_difference(expected, test::run_tiny_processes(fast, samples)), 1e-6);
}

}  // namespace
}  // namespace mvrm::train
