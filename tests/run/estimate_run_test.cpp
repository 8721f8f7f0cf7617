// SPDX-License-Identifier: Apache-2.0
// The estimate against the plan's numbers for the released model (spec/training.md 2.2 to 2.5), worked out there by hand.
#include <cmath>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/run/estimate_run.h>
#include <nlohmann/json.hpp>

namespace mvrm::run {
namespace {

std::string message_of(const EstimateOptions& options) {
  try {
    estimate_run(options);
  } catch (const core::ConfigError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

constexpr double kParameters = 8'271'704'309.0;

EstimateOptions node(int64_t gpus, double gib) {
  EstimateOptions options;
  options.model = "mantis-8b";
  options.gpus = gpus;
  options.gpu_memory_gib = gib;
  return options;
}
double states_of(const SchemeEstimate& estimate) { return estimate.memory.weights + estimate.memory.optimizer + estimate.memory.gradients; }

TEST(Estimate, StatesAreThoseOfThePlan) {
  for (const int64_t gpus : {2, 4, 8}) {
    const double ranks = static_cast<double>(gpus);
    EstimateOptions options = node(gpus, 139.8);
    options.order = "fast";
    EXPECT_NEAR(states_of(estimate_run(options).asked) / kParameters, 6 + 12 / ranks, 0.01);   // ZeRO-1, fp32 sums of gradients
    options.reduce = "micro";
    EXPECT_NEAR(states_of(estimate_run(options).asked) / kParameters, 2 + 16 / ranks, 0.01);   // ZeRO-2
    options.reshard = "free";
    EXPECT_NEAR(states_of(estimate_run(options).asked) / kParameters, 16 / ranks, 0.01);       // ZeRO-3; weights are made from the masters
    // 64 samples: 64 / gpus micro-batches of a rank, and a sum of gradients for each level of their tree.
    options.order = "ordered";
    const double sums = 1 + std::log2(64 / ranks);
    EXPECT_NEAR(states_of(estimate_run(options).asked) / kParameters, (12 + 4 * sums) / ranks, 0.01);
  }
}

TEST(Estimate, OneGpuHoldsEverythingAndSendsNothing) {
  EstimateOptions options = node(1, 178);
  EXPECT_NEAR(states_of(estimate_run(options).asked) / kParameters, 2 + 12 + 4, 0.01);   // auto on a GPU: one running sum
  options.order = "ordered";
  const EstimateResult result = estimate_run(options);
  EXPECT_EQ(result.parameters, 8'271'704'309);
  EXPECT_NEAR(states_of(result.asked) / kParameters, 2 + 12 + 4 * 7, 0.01);   // 64 micro-batches in order: 7 sums
  EXPECT_FALSE(result.asked.fits);
  ASSERT_GE(result.best, 0);
  EXPECT_FALSE(result.schemes[static_cast<size_t>(result.best)].scheme.ordered);
  EXPECT_EQ(result.asked.traffic_bytes, 0);
  EXPECT_TRUE(std::isnan(result.asked.compute_seconds));
}

TEST(Estimate, TimeIsWorkOverPeak) {
  EstimateOptions options = node(8, 139.8);
  options.gpu = "h200";
  options.reduce = "micro";
  options.recompute = "never";
  const EstimateResult result = estimate_run(options);
  EXPECT_EQ(result.tokens, 312 + 16 * 67);
  EXPECT_EQ(result.patches, 972);
  EXPECT_NEAR(1e-12 * result.flops.forward(), 39.1, 0.2);
  EXPECT_EQ(result.steps, 577);   // 36 901 samples
  // 8 micro-batches of 117 TFLOP at 40 % of 989; ZeRO-2 sends 8 times 4 P and once 2 P, 7/8 of it.
  EXPECT_NEAR(result.asked.compute_seconds, 8 * 117.3 / (0.4 * 989), 0.02);
  EXPECT_NEAR(result.asked.traffic_bytes / kParameters, (8 * 4 + 2) * 7.0 / 8, 1e-6);
  EXPECT_NEAR(result.checkpoint_bytes / kParameters, 12, 1e-9);
  EXPECT_NEAR(result.disk_bytes / kParameters, 3 * 12 + 2, 1e-9);
  EXPECT_NEAR(result.host_bytes / kParameters, 1.5, 1e-9);
}

TEST(Estimate, SaysWhatFits) {
  const EstimateResult tight = estimate_run(node(2, 79.6));
  EXPECT_FALSE(tight.asked.fits);
  EstimateOptions small = node(8, 79.6);
  small.order = "ordered";
  EXPECT_TRUE(estimate_run(small).asked.fits);   // auto sums a large model every micro-batch
  small.reduce = "step";
  const EstimateResult eight = estimate_run(small);
  ASSERT_GE(eight.best, 0);
  const auto& best = eight.schemes[static_cast<size_t>(eight.best)];
  EXPECT_FALSE(eight.asked.fits);
  EXPECT_TRUE(best.fits);
  EXPECT_LE(best.memory.peak() / (1 << 30) + 2, 79.6);
  for (const auto& scheme : eight.schemes) EXPECT_EQ(scheme.fits, scheme.need_gib <= 79.6);
  EXPECT_NE(estimate_table(eight).find("What fits: "), std::string::npos);
  const EstimateResult none = estimate_run(node(1, 24));
  EXPECT_EQ(none.best, -1);
  EXPECT_NE(estimate_table(none).find("Nothing fits"), std::string::npos);
  // Frames cost activations, PCGrad K gradients.
  EstimateOptions longer = small, surgery = small;
  longer.frames = 48;
  surgery.balance = "pcgrad";
  EXPECT_GT(estimate_run(longer).asked.memory.activations, 2 * eight.asked.memory.activations);
  EXPECT_NEAR(estimate_run(surgery).asked.memory.gradients, 5 * eight.asked.memory.gradients, 1);
}

TEST(Estimate, PrintsTheSameNumbersAsJson) {
  EstimateOptions options = node(8, 139.8);
  options.gpu = "b200";
  const EstimateResult result = estimate_run(options);
  const auto document = nlohmann::json::parse(estimate_json(result));
  EXPECT_EQ(document.at("parameters"), result.parameters);
  EXPECT_EQ(document.at("fits"), result.asked.fits);
  EXPECT_EQ(document.at("schemes").size(), 16U);
  EXPECT_EQ(document.at("asked").at("memory_bytes").at("gradients"), result.asked.memory.gradients);
  EXPECT_GT(document.at("gpu_hours"), 0.0);
  EXPECT_NE(estimate_table(result).find("577 steps of 64 samples"), std::string::npos);
}

TEST(Estimate, RefusesWhatItDoesNotKnow) {
  EstimateOptions options = node(8, 80);
  options.gpu = "abacus";
  EXPECT_EQ(message_of(options), "--gpu: unknown 'abacus'; known: a100, h100, h200, b200; or give --peak-tflops");
  options = node(8, 80);
  options.model = "mantis-9b";
  EXPECT_EQ(message_of(options), "--model: 'mantis-9b' is neither a model directory nor a preset; presets: mantis-8b");
  options = node(8, 80);
  options.height = 10;
  EXPECT_THROW(estimate_run(options), core::ConfigError);
}

}  // namespace
}  // namespace mvrm::run
