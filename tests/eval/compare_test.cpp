// SPDX-License-Identifier: Apache-2.0
// The paired bootstrap test.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/random.h>
#include <mvrm/eval/compare.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace {

using namespace mvrm;

// Labels 1 to 4 and rewards that follow them with noise of the given size; the same seed gives the same labels, another stream the noise.
eval::Predictions model(int64_t count, double noise, uint64_t stream) {
  eval::Predictions predictions{.ids = {}, .dimensions = {"a", "b"}, .reward_NK = at::empty({count, 2}, at::kDouble), .label_NK = at::empty({count, 2}, at::kDouble)};
  core::CounterRng labels(3, "labels"), rng(3, stream);
  for (int64_t n = 0; n < count; ++n) {
    predictions.ids.push_back("s" + std::to_string(n));
    for (int64_t k = 0; k < 2; ++k) {
      const auto label = static_cast<double>(1 + labels.below(4));
      predictions.label_NK[n][k] = label;
      predictions.reward_NK[n][k] = label + noise * rng.normal();
    }
  }
  return predictions;
}

TEST(Compare, ABetterModelIsFoundBetter) {
  const auto result = eval::compare_spearman(model(300, 2.0, 1), model(300, 0.7, 2), {.resamples = 500});
  EXPECT_EQ(result.n, 300);
  for (const auto& d : result.dimensions) {
    EXPECT_GT(d.low, 0) << d.name;
    EXPECT_NEAR(d.difference, d.b - d.a, 1e-15);
    EXPECT_DOUBLE_EQ(d.p_value, 2.0 / 501);
  }
  EXPECT_NEAR(result.mean.difference, (result.dimensions[0].difference + result.dimensions[1].difference) / 2, 1e-15);
  EXPECT_EQ(nlohmann::json::parse(eval::to_json_text(result)).at("dimensions").at("a").at("n"), 300);
}

TEST(Compare, AModelIsNoBetterThanItself) {
  const auto one = model(100, 1, 1);
  const auto result = eval::compare_spearman(one, one, {.resamples = 100});
  EXPECT_EQ(result.mean.difference, 0);
  EXPECT_EQ(result.mean.low, 0);
  EXPECT_EQ(result.mean.high, 0);
  EXPECT_EQ(result.mean.p_value, 1);
}

TEST(Compare, RunsOverTheSameSamplesAreResampledTogether) {
  const auto a = model(100, 2, 1), b = model(100, 1, 2);
  const auto once = eval::compare_spearman(a, b, {.resamples = 200});
  const auto twice = eval::compare_spearman(std::vector<eval::ComparedRun>{{&a, &b}, {&a, &b}}, {.resamples = 200});
  EXPECT_DOUBLE_EQ(twice.mean.difference, once.mean.difference);
  EXPECT_DOUBLE_EQ(twice.mean.low, once.mean.low);
  EXPECT_DOUBLE_EQ(twice.dimensions[1].high, once.dimensions[1].high);
  // What the second run undoes in every single resample leaves nothing.
  const auto undone = eval::compare_spearman(std::vector<eval::ComparedRun>{{&a, &b}, {&b, &a}}, {.resamples = 200});
  EXPECT_EQ(undone.mean.low, 0);
  EXPECT_EQ(undone.mean.high, 0);
}

TEST(Compare, RunsOverOtherSamplesAreResampledApart) {
  const auto a = model(100, 2, 1), b = model(100, 1, 2);
  auto other_a = a, other_b = b;
  for (auto* run : {&other_a, &other_b})
    for (auto& id : run->ids) id = "other " + id;
  const auto apart = eval::compare_spearman(std::vector<eval::ComparedRun>{{&a, &b}, {&other_a, &other_b}}, {.resamples = 2000});
  const auto once = eval::compare_spearman(a, b, {.resamples = 2000});
  EXPECT_DOUBLE_EQ(apart.mean.difference, once.mean.difference);
  EXPECT_NEAR((apart.mean.high - apart.mean.low) / (once.mean.high - once.mean.low), std::sqrt(0.5), 0.08);   // two independent halves
  auto renamed = other_b;
  renamed.dimensions = {"a", "c"};
  EXPECT_THROW(eval::compare_spearman(std::vector<eval::ComparedRun>{{&a, &b}, {&other_a, &renamed}}, {.resamples = 10}), core::DataError);
}

// Two models of the same quality: over 40 draws of noise, p below 0.1 must be rare (expected 4) and p must spread.
TEST(Compare, EqualModelsGiveSmallPRarely) {
  int small = 0, above_half = 0;
  for (uint64_t i = 0; i < 40; ++i) {
    const double p = eval::compare_spearman(model(80, 1, 100 + i), model(80, 1, 200 + i), {.resamples = 200}).mean.p_value;
    small += p < 0.1 ? 1 : 0;
    above_half += p > 0.5 ? 1 : 0;
  }
  EXPECT_LE(small, 10);
  EXPECT_GE(above_half, 8);
}

TEST(Compare, OrderOfRowsAndThreadsChangeNothing) {
  const auto a = model(60, 2, 1), b = model(60, 1, 2);
  auto shuffled = b;
  std::reverse(shuffled.ids.begin(), shuffled.ids.end());
  shuffled.reward_NK = b.reward_NK.flip(0);
  shuffled.label_NK = b.label_NK.flip(0);
  const auto expected = eval::to_json_text(eval::compare_spearman(a, b, {.resamples = 100}));
  EXPECT_EQ(eval::to_json_text(eval::compare_spearman(a, shuffled, {.resamples = 100, .threads = 3})), expected);
}

TEST(Compare, OnlyCommonSamplesCountAndLabelsMustAgree) {
  const auto a = model(60, 2, 1);
  auto b = model(50, 1, 2);
  const auto result = eval::compare_spearman(a, b, {.resamples = 50});
  EXPECT_EQ(result.n, 50);
  EXPECT_EQ(result.only_in_a, 10);
  EXPECT_EQ(result.only_in_b, 0);
  auto unlabelled = b;
  unlabelled.label_NK = at::full_like(b.label_NK, std::nan(""));
  EXPECT_EQ(eval::compare_spearman(a, unlabelled, {.resamples = 50}).mean.b, result.mean.b);
  b.label_NK[3][1] = 9;
  EXPECT_THROW(eval::compare_spearman(a, b), core::DataError);
  b.ids[4] = b.ids[5];
  EXPECT_THROW(eval::compare_spearman(a, b), core::DataError);
  for (auto& id : b.ids) id += "x";
  EXPECT_THROW(eval::compare_spearman(a, b), core::DataError);
}

TEST(Compare, PairsAreMatchedByNumber) {
  using eval::Preference;
  const eval::PairTable a{.keys = {0, 1, 2, 3}, .preferences = std::vector<Preference>(4, Preference::left), .dimensions = {"a"}, .left = {1, 1, 1, 2}, .right = {2, 2, 0, 3}};
  const eval::PairTable b{.keys = {3, 2, 1}, .preferences = std::vector<Preference>(3, Preference::left), .dimensions = {"a"}, .left = {4, 4, 4}, .right = {1, 1, 1}};
  const auto result = eval::compare_pairs(a, b, {.resamples = 200});
  EXPECT_EQ(result.n, 3);
  EXPECT_EQ(result.only_in_a, 1);
  EXPECT_DOUBLE_EQ(result.mean.a, 1.0 / 3);
  EXPECT_DOUBLE_EQ(result.mean.b, 1);
  EXPECT_DOUBLE_EQ(result.dimensions[0].difference, 2.0 / 3);
}

}  // namespace
