// SPDX-License-Identifier: Apache-2.0
// Whole runs of a tiny model on a GPU: the CPU's numbers in float64, and the same bits whenever they are asked for twice.
#include <gtest/gtest.h>
#include <mvrm/core/random.h>
#include <nlohmann/json.hpp>

#include "tests/train/ranks.h"

namespace mvrm {
namespace {

using test::run_tiny;
using test::TinyRun;

class GpuTraining : public testing::Test {
 protected:
  test::TinyRun run(at::Device device, at::ScalarType dtype, int64_t steps) {
    return {.config = test::tiny_train_config(steps), .dir = scratch_.path / std::to_string(runs_++), .dtype = dtype, .device = device};
  }
  const at::Device gpu_{at::kCUDA, 0};
  test::Scratch scratch_{"gpu_training"};
  train::Samples samples_ = test::tiny_samples(test::tiny_config(), 16);
  int runs_ = 0;
};

TEST_F(GpuTraining, EveryBalanceIsTheCpusInFloat64) {
  core::CounterRng random(5, "weights");
  for (int64_t n = 0; n < 16; ++n)
    for (int64_t k = 0; k < 5; ++k) samples_.weight_NK[n][k] = n % 3 == 0 && k == n % 5 ? 0.0 : random.uniform(0.2, 1.8);
  constexpr int64_t kSteps = 10;
  for (const char* strategy : {"equal", "uncertainty_weighting", "rlw", "pcgrad"}) {
    for (const char* recompute : {"always", "never"}) {
      test::TinyRun cpu = run(at::kCPU, at::kDouble, kSteps), gpu = run(gpu_, at::kDouble, kSteps);
      cpu.config.balance.strategy = strategy;
      cpu.config.train.recompute = recompute;
      gpu.config = cpu.config;
      EXPECT_LT(test::worst_difference(run_tiny(cpu, samples_), run_tiny(gpu, samples_)), 1e-8) << strategy << ", recompute " << recompute;
    }
  }
}

TEST_F(GpuTraining, OrderedSumsAndSketchesAreTheCpusInFloat64) {
  test::TinyRun cpu = run(at::kCPU, at::kDouble, 8), gpu = run(gpu_, at::kDouble, 8);
  cpu.config.dist.order = "ordered";
  cpu.config.balance.strategy = "pcgrad";
  cpu.config.balance.pcgrad = {.gram = "sketch", .sketch_size = 1001};
  gpu.config = cpu.config;
  EXPECT_LT(test::worst_difference(run_tiny(cpu, samples_), run_tiny(gpu, samples_)), 1e-8);
}

TEST_F(GpuTraining, TheSameSeedGivesTheSameBits) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    test::TinyRun first = run(gpu_, dtype, 12), second = run(gpu_, dtype, 12);
    EXPECT_TRUE(test::same_bits(run_tiny(first, samples_), run_tiny(second, samples_))) << at::toString(dtype);
  }
}

TEST_F(GpuTraining, ResumesBitForBitAndOnTheCpu) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kDouble}) {
    const auto expected = run_tiny(run(gpu_, dtype, 12), samples_);
    test::TinyRun cut = run(gpu_, dtype, 12);
    cut.config.checkpoint.every = 7;
    const auto cut_result = run_tiny(cut, samples_);   // told apart: a run that does not repeat itself, and one that does not resume
    EXPECT_TRUE(test::same_bits(expected, cut_result)) << at::toString(dtype) << ", again: " << test::worst_difference(expected, cut_result);
    test::TinyRun rest = cut;
    rest.resume = "auto";
    const auto rest_result = run_tiny(rest, samples_);
    EXPECT_TRUE(test::same_bits(expected, rest_result)) << at::toString(dtype) << ", resumed: " << test::worst_difference(expected, rest_result);
    if (dtype != at::kDouble) continue;
    test::TinyRun elsewhere = rest;
    elsewhere.device = at::kCPU;
    elsewhere.config.dist.order = "fast";
    EXPECT_LT(test::worst_difference(expected, run_tiny(elsewhere, samples_)), 1e-8);
  }
}

// A checkpoint behind every step, so that the first one that differs is known: does a run not repeat itself, or not resume?
TEST_F(GpuTraining, Bfloat16RepeatsAndResumesStepByStep) {
  constexpr int64_t kSteps = 12, kCut = 7;
  constexpr int kTimes = 10;
  const auto state_of = [](const TinyRun& of, int64_t step) {   // weights in float32 and both moments
    const auto manifest = of.dir / "checkpoints" / ("step-" + std::to_string(step)) / "manifest.json";
    return nlohmann::json::parse(test::slurp(manifest)).at("files").begin()->at("sha256").get<std::string>();
  };
  const auto new_run = [&] {
    TinyRun made = run(gpu_, at::kBFloat16, kSteps);
    made.config.checkpoint = {.every = 1, .keep = kSteps};
    return made;
  };
  const TinyRun first = new_run();
  run_tiny(first, samples_);
  const auto expect_same = [&](const TinyRun& other, int64_t from, const std::string& what) {
    for (int64_t step = from; step < kSteps; ++step) ASSERT_EQ(state_of(other, step), state_of(first, step)) << what << " differs from step " << step << " on";
  };
  for (int i = 0; i < kTimes; ++i) {
    const TinyRun again = new_run();
    run_tiny(again, samples_);
    expect_same(again, 1, "uncut run " + std::to_string(i + 2));
  }
  for (int i = 0; i < kTimes; ++i) {
    TinyRun rest = new_run();
    std::filesystem::copy(first.dir, rest.dir, std::filesystem::copy_options::recursive);
    for (int64_t step = kCut + 1; step < kSteps; ++step) std::filesystem::remove_all(rest.dir / "checkpoints" / ("step-" + std::to_string(step)));
    rest.resume = "auto";
    run_tiny(rest, samples_);
    expect_same(rest, kCut + 1, "run resumed behind step " + std::to_string(kCut));
  }
}

}  // namespace
}  // namespace mvrm
