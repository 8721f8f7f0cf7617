// SPDX-License-Identifier: Apache-2.0
// Planted label errors: what each kind does to the levels 1..4, and how many labels it reaches.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/refine/noise.h>

#include <cmath>
#include <map>

#include "tests/refine/hand_profile.h"

namespace {

using namespace mvrm;
using refine::corrupt_label;
using refine::NoiseConfig;
using refine::NoiseKind;
using test::kNan;
using test::table;

// Every label with draws 0, .25, .5 and .75, by hand.
TEST(CorruptLabel, ByHand) {
  const std::map<NoiseKind, std::vector<std::vector<double>>> expected{
      {NoiseKind::uniform_other, {{2, 2, 3, 4}, {1, 1, 3, 4}, {1, 1, 2, 4}, {1, 1, 2, 3}}},
      {NoiseKind::uniform_any, {{1, 2, 3, 4}, {1, 2, 3, 4}, {1, 2, 3, 4}, {1, 2, 3, 4}}},
      {NoiseKind::strict, {{2, 2, 2, 2}, {1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}}},
      {NoiseKind::farthest, {{4, 4, 4, 4}, {4, 4, 4, 4}, {1, 1, 1, 1}, {1, 1, 1, 1}}},
      {NoiseKind::reversed, {{4, 4, 4, 4}, {3, 3, 3, 3}, {2, 2, 2, 2}, {1, 1, 1, 1}}},
      {NoiseKind::adjacent, {{2, 2, 2, 2}, {1, 1, 3, 3}, {2, 2, 4, 4}, {3, 3, 3, 3}}}};
  ASSERT_EQ(expected.size(), 6U);
  for (const auto& [kind, rows] : expected) {
    SCOPED_TRACE(refine::name_of(kind));
    EXPECT_EQ(refine::noise_kind_from_name(refine::name_of(kind)), kind);
    for (size_t label = 1; label <= 4; ++label) {
      for (size_t draw = 0; draw < 4; ++draw)
        EXPECT_EQ(corrupt_label(static_cast<double>(label), {.kind = kind}, 0.25 * static_cast<double>(draw)), rows[label - 1][draw]) << label;
    }
  }
  EXPECT_THROW(corrupt_label(2.5, {}, 0), core::DataError);
  EXPECT_THROW(refine::noise_kind_from_name("loud"), core::ConfigError);
}

at::Tensor levels(int64_t rows, int64_t columns) {
  at::Tensor label_NK = at::empty({rows, columns}, at::kFloat);
  for (int64_t i = 0; i < label_NK.numel(); ++i) label_NK.mutable_data_ptr<float>()[i] = static_cast<float>(1 + (i * 7 + i / 5) % 4);
  return label_NK;
}

TEST(PlantNoise, ReachesTheShareOfEachDimension) {
  at::Tensor label_NK = levels(200, 3);
  label_NK.select(1, 2).narrow(0, 0, 100).fill_(kNan);
  for (const auto kind : {NoiseKind::uniform_other, NoiseKind::strict, NoiseKind::farthest, NoiseKind::reversed, NoiseKind::adjacent}) {
    const auto planted = refine::plant_noise(label_NK, {.kind = kind, .share = 0.1, .seed = 3});
    EXPECT_TRUE(at::equal(planted.corrupted_NK.sum(0), at::tensor({20, 20, 10}, at::kLong)));
    const at::Tensor differs_NK = planted.label_NK.ne(label_NK).logical_and(label_NK.isfinite());
    EXPECT_TRUE(at::equal(differs_NK.to(at::kByte), planted.corrupted_NK));
    EXPECT_TRUE(at::equal(planted.label_NK.isnan(), label_NK.isnan()));
  }
  // A quarter of the draws over all four levels gives the label back; only changed ones count as wrong.
  const auto any = refine::plant_noise(label_NK, {.kind = NoiseKind::uniform_any, .share = 1, .seed = 3});
  const double share = any.corrupted_NK.select(1, 0).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(share, 0.75, 0.1);
}

TEST(PlantNoise, StrictLowersOnly) {
  const auto planted = refine::plant_noise(levels(100, 2), {.kind = NoiseKind::strict, .share = 0.3});
  EXPECT_TRUE(planted.label_NK.masked_select(planted.corrupted_NK.to(at::kBool)).eq(1).all().item<bool>());
  EXPECT_EQ(planted.corrupted_NK.sum().item<int64_t>(), 60);
}

TEST(PlantNoise, IsAFunctionOfTheSeed) {
  const at::Tensor label_NK = levels(100, 2);
  const NoiseConfig config{.share = 0.2, .seed = 5};
  EXPECT_TRUE(at::equal(refine::plant_noise(label_NK, config).label_NK, refine::plant_noise(label_NK, config).label_NK));
  EXPECT_FALSE(at::equal(refine::plant_noise(label_NK, config).label_NK, refine::plant_noise(label_NK, {.share = 0.2, .seed = 6}).label_NK));
  EXPECT_FALSE(at::equal(refine::plant_noise(label_NK, config).corrupted_NK.select(1, 0), refine::plant_noise(label_NK, config).corrupted_NK.select(1, 1)));
  EXPECT_TRUE(at::equal(refine::plant_noise(label_NK, {.share = 0}).label_NK, label_NK));
}

TEST(PlantNoise, OtherLevelsAndBadValues) {
  const at::Tensor label_NK = table({{0}, {0.5}, {1}, {0}});
  EXPECT_EQ(refine::levels_of(label_NK), (std::vector<double>{0, 0.5, 1}));
  const auto planted = refine::plant_noise(label_NK, {.kind = NoiseKind::farthest, .share = 1, .levels = {0, 0.5, 1}});
  EXPECT_TRUE(at::equal(planted.label_NK, table({{1}, {0}, {0}, {1}}).to(at::kFloat)));
  EXPECT_THROW(refine::plant_noise(label_NK, {.share = 1}), core::DataError);   // 0 is none of 1..4
  EXPECT_THROW(refine::plant_noise(label_NK, {.share = 1.5}), core::ConfigError);
  EXPECT_THROW(refine::plant_noise(label_NK, {.share = 0.1, .levels = {1}}), core::ConfigError);
  EXPECT_THROW(refine::levels_of(test::random_normal(40, 1, 1)), core::DataError);
}

}  // namespace
