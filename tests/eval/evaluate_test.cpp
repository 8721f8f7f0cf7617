// SPDX-License-Identifier: Apache-2.0
// Spearman over predictions, its bootstrap interval, and the published numbers of VideoScore's own result file.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/random.h>
#include <mvrm/eval/rank_correlation.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/support/shared_data.h"

namespace {

using namespace mvrm;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Rewards that follow the labels with noise; the second dimension is noisier and lacks every seventh label.
eval::Predictions noisy_predictions(int64_t count) {
  eval::Predictions predictions{.ids = {}, .dimensions = {"a", "b"}, .reward_NK = at::empty({count, 2}), .label_NK = at::empty({count, 2})};
  core::CounterRng rng(3, "evaluate test");
  for (int64_t n = 0; n < count; ++n) {
    predictions.ids.push_back(std::to_string(n));
    for (int64_t k = 0; k < 2; ++k) {
      const auto label = static_cast<double>(1 + rng.below(4));
      predictions.label_NK[n][k] = k == 1 && n % 7 == 0 ? kNan : label;
      predictions.reward_NK[n][k] = label + (0.5 + static_cast<double>(k)) * rng.normal();
    }
  }
  return predictions;
}

TEST(Evaluate, PublishedVideoScoreFileGivesThePublishedNumbers) {
  const auto file = test::shared_data() / "videoscore_results" / "eval_video_feedback_videoscore.json";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "no published result file; MVRM_SHARED_DATA names the folder that holds videoscore_results";
  const auto result = eval::evaluate_spearman(eval::read_predictions(file), 200);
  const double published[] = {78.7802, 65.5364, 39.678, 37.0003, 66.3278};
  ASSERT_EQ(result.dimensions.size(), 5U);
  for (size_t k = 0; k < 5; ++k) {
    EXPECT_EQ(std::round(1e6 * result.dimensions[k].spearman) / 1e4, published[k]) << result.dimensions[k].name;
    EXPECT_EQ(result.dimensions[k].n, 41);
    EXPECT_LT(result.dimensions[k].low, result.dimensions[k].spearman);
    EXPECT_GT(result.dimensions[k].high, result.dimensions[k].spearman);
  }
  EXPECT_NEAR(result.dimensions[0].p_value, 9.8317e-10, 1e-14);
  EXPECT_NEAR(100 * result.mean, (78.7802 + 65.5364 + 39.678 + 37.0003 + 66.3278) / 5, 1e-4);
}

// One resample: both ends of the interval are that resample's correlation, which the plain function must give for the drawn rows.
TEST(Bootstrap, ResampleIsTheCorrelationOfTheDrawnRows) {
  constexpr int64_t kRows = 60;
  const auto predictions = noisy_predictions(kRows);
  const auto result = eval::evaluate_spearman(predictions, 1, 9);
  core::CounterRng rng(9, core::combine64(core::hash64("bootstrap"), 0));
  std::vector<std::vector<double>> reward(2), label(2);
  for (int64_t i = 0; i < kRows; ++i) {
    const int64_t n = rng.below(kRows);
    for (size_t k = 0; k < 2; ++k) {
      const double y = predictions.label_NK[n][static_cast<int64_t>(k)].item<double>();
      if (std::isnan(y)) continue;
      label[k].push_back(y);
      reward[k].push_back(predictions.reward_NK[n][static_cast<int64_t>(k)].item<double>());
    }
  }
  double mean = 0;
  for (size_t k = 0; k < 2; ++k) {
    const double expected = eval::spearman(reward[k], label[k]).r;
    mean += expected / 2;
    EXPECT_NEAR(result.dimensions[k].low, expected, 1e-12);
    EXPECT_NEAR(result.dimensions[k].high, expected, 1e-12);
  }
  EXPECT_NEAR(result.mean_low, mean, 1e-12);
}

// Fisher's approximation for n = 400: standard error of atanh(r) is close to sqrt((1 + r^2/2) / (n - 3)).
TEST(Bootstrap, WidthIsThatOfTheSamplingError) {
  const auto predictions = noisy_predictions(400);
  const auto result = eval::evaluate_spearman(predictions, 2000);
  for (const auto& d : result.dimensions) {
    const double width = std::atanh(d.high) - std::atanh(d.low);
    const double expected = 2 * 1.96 * std::sqrt((1 + d.spearman * d.spearman / 2) / static_cast<double>(d.n - 3));
    EXPECT_GT(width, 0.7 * expected) << d.name;
    EXPECT_LT(width, 1.3 * expected) << d.name;
  }
  const double widest = std::max(result.dimensions[0].high - result.dimensions[0].low, result.dimensions[1].high - result.dimensions[1].low);
  EXPECT_LT(result.mean_high - result.mean_low, widest);
}

TEST(Bootstrap, SeedDecidesEveryBit) {
  const auto predictions = noisy_predictions(50);
  EXPECT_EQ(eval::to_json_text(eval::evaluate_spearman(predictions, 100, 1)), eval::to_json_text(eval::evaluate_spearman(predictions, 100, 1)));
  EXPECT_NE(eval::to_json_text(eval::evaluate_spearman(predictions, 100, 1)), eval::to_json_text(eval::evaluate_spearman(predictions, 100, 2)));
}

TEST(Evaluate, RowsWithoutLabelTakeNoPart) {
  auto predictions = noisy_predictions(30);
  const auto result = eval::evaluate_spearman(predictions, 0);
  EXPECT_EQ(result.dimensions[0].n, 30);
  EXPECT_EQ(result.dimensions[1].n, 25);
  for (int64_t n = 0; n < 30; n += 7) predictions.reward_NK[n][1] = 1e9;
  EXPECT_EQ(eval::evaluate_spearman(predictions, 0).dimensions[1].spearman, result.dimensions[1].spearman);
}

TEST(Evaluate, ConstantColumnIsNullAndLeftOutOfTheMean) {
  auto predictions = noisy_predictions(30);
  predictions.label_NK.select(1, 1).fill_(3);
  const auto result = eval::evaluate_spearman(predictions, 50);
  EXPECT_TRUE(std::isnan(result.dimensions[1].spearman));
  EXPECT_EQ(result.mean, result.dimensions[0].spearman);
  const auto document = nlohmann::json::parse(eval::to_json_text(result));
  EXPECT_EQ(document.at("n"), 30);
  EXPECT_EQ(document.at("mean").get<double>(), result.mean);
  EXPECT_EQ(document.at("dimensions").at("a").at("low").get<double>(), result.dimensions[0].low);
  for (const char* key : {"spearman", "p_value", "low", "high"}) EXPECT_TRUE(document.at("dimensions").at("b").at(key).is_null()) << key;
}

}  // namespace
