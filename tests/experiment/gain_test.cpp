// SPDX-License-Identifier: Apache-2.0
#include "src/experiment/gain.h"

#include <ATen/ATen.h>
#include <cmath>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/random.h>

namespace {

using namespace mvrm;

// Rewards that follow labels 1..4 with noise; labels are those of `seed`, the noise that of `stream`.
eval::Predictions model(uint64_t seed, double noise, uint64_t stream) {
  constexpr int64_t kClips = 120;
  eval::Predictions rewards{.ids = {}, .dimensions = {"a", "b"}, .reward_NK = at::empty({kClips, 2}, at::kDouble), .label_NK = at::empty({kClips, 2}, at::kDouble)};
  core::CounterRng labels(seed, "labels"), rng(seed, stream);
  for (int64_t n = 0; n < kClips; ++n) {
    rewards.ids.push_back(std::to_string(seed) + "-" + std::to_string(n));
    for (int64_t k = 0; k < 2; ++k) {
      const auto label = static_cast<double>(1 + labels.below(4));
      rewards.label_NK[n][k] = label;
      rewards.reward_NK[n][k] = label + noise * rng.normal();
    }
  }
  return rewards;
}

experiment::Gain gain_of(double noise_a, double noise_b, uint64_t seeds) {
  std::vector<eval::Predictions> a, b;
  for (uint64_t s = 0; s < seeds; ++s) {
    a.push_back(model(s, noise_a, 1));
    b.push_back(model(s, noise_b, 2));
  }
  std::vector<const eval::Predictions*> baseline, method;
  for (size_t s = 0; s < seeds; ++s) {
    baseline.push_back(&a[s]);
    method.push_back(&b[s]);
  }
  return experiment::spearman_gain(baseline, method, 300);
}

TEST(Gain, ABetterMethodHelpsAndAWorseOneHurts) {
  const auto better = gain_of(2.0, 0.7, 4);
  EXPECT_EQ(better.verdict, "helps");
  EXPECT_GT(better.low, 0);
  EXPECT_GT(better.by_seed.low, 0);
  EXPECT_EQ(gain_of(0.7, 2.0, 4).verdict, "hurts");
}

TEST(Gain, OneSeedClaimsNothing) {
  const auto gain = gain_of(2.0, 0.7, 1);
  EXPECT_GT(gain.low, 0) << "the clips alone would";
  EXPECT_EQ(gain.verdict, "one seed: no interval");
}

TEST(Gain, WhatOnlyOneOfTheTwoIntervalsShowsIsNotClaimed) {
  // All seeds gain the same on few clips: certain by seed, not by clip.
  std::vector<std::vector<double>> difference(4, std::vector<double>(8, 0));
  for (size_t s = 0; s < 4; ++s) difference[s][0] = 1 + 1e-6 * static_cast<double>(s);
  const auto gain = experiment::accuracy_gain(difference, true, 400);
  EXPECT_NEAR(gain.by_seed.mean, 0.125, 1e-6);
  EXPECT_GT(gain.by_seed.low, 0);
  EXPECT_EQ(gain.low, 0);
  EXPECT_EQ(gain.verdict, "no difference shown");
}

// 40 % of 1000 questions gained: the bootstrap's interval is the binomial's, 0.4 +- 1.96 sqrt(0.24 / 1000).
TEST(Gain, IntervalOfAShareIsTheBinomials) {
  std::vector<double> difference(1000, 0);
  std::fill(difference.begin(), difference.begin() + 400, 1);
  const auto gain = experiment::accuracy_gain({difference, difference}, true, 4000);
  EXPECT_NEAR(gain.low, 0.4 - 1.96 * std::sqrt(0.24 / 1000), 0.003);
  EXPECT_NEAR(gain.high, 0.4 + 1.96 * std::sqrt(0.24 / 1000), 0.003);
  EXPECT_DOUBLE_EQ(gain.p_value, 2.0 / 4001);
  // Asked twice as many questions, it is narrower by the root of two.
  const auto apart = experiment::accuracy_gain({difference, difference}, false, 4000);
  EXPECT_NEAR((apart.high - apart.low) / (gain.high - gain.low), std::sqrt(0.5), 0.06);
  EXPECT_THROW(experiment::accuracy_gain({difference, {1, 0}}, true, 100), core::Error);
}

TEST(Gain, SeedsAloneHaveNoIntervalByClip) {
  const auto gain = experiment::seed_gain({0.90, 0.91, 0.92}, {0.80, 0.812, 0.821});
  EXPECT_EQ(gain.verdict, "hurts");
  EXPECT_TRUE(std::isnan(gain.low) && std::isnan(gain.p_value));
}

}  // namespace
