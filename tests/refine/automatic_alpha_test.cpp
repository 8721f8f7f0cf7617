// SPDX-License-Identifier: Apache-2.0
// Benjamini-Hochberg on published p-values, robust scaling by hand, and automatic alpha on data with and without errors.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/refine/automatic_alpha.h>
#include <mvrm/refine/strategy.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/refine/hand_profile.h"

namespace {

using namespace mvrm;
using test::kNan;
using test::table;

// The fifteen p-values of Benjamini and Hochberg (1995), section 3.2, where four are rejected at .05;
// scipy.stats.false_discovery_control(p) <= .1 has nine.
TEST(BenjaminiHochberg, PublishedExample) {
  std::vector<double> p{.0459, .0001, .0298, .0004, 1.0, .0019, .0095, .0201, .0278, .0344, .3240, .4262, .5719, .6528, .7590};
  const auto five = refine::benjamini_hochberg(p, 0.05);
  EXPECT_EQ(five, (std::vector<uint8_t>{0, 1, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0}));
  const auto ten = refine::benjamini_hochberg(p, 0.1);
  EXPECT_EQ(std::accumulate(ten.begin(), ten.end(), 0), 9);
  p.insert(p.begin(), 200, kNan);   // not counted
  const auto with_holes = refine::benjamini_hochberg(p, 0.05);
  EXPECT_EQ(std::accumulate(with_holes.begin(), with_holes.end(), 0), 4);
}

// p_(2) = .05 > .1 * 2 / 4 fails by itself at .051, but p_(3) <= .075 takes it along: the step goes up.
TEST(BenjaminiHochberg, StepsUp) {
  EXPECT_EQ(refine::benjamini_hochberg({0.06, 0.051, 0.06, 0.9}, 0.1), (std::vector<uint8_t>{1, 1, 1, 0}));
  EXPECT_EQ(refine::benjamini_hochberg({0.08, 0.08, 0.08, 0.9}, 0.1), (std::vector<uint8_t>{0, 0, 0, 0}));
  EXPECT_TRUE(refine::benjamini_hochberg({}, 0.1).empty());
}

// First column: median 3, deviations 2 1 0 1 97, their median 1. Second: median of 4 values 2.5, deviations 1.5 .5 .5 1.5, median 1.
// Third: constant. NumPy: (x - np.median(x)) / (1.4826 * np.median(abs(x - np.median(x)))).
TEST(RobustResidual, ByHand) {
  const at::Tensor scaled_NK = refine::robust_residual(table({{1, 1, 5}, {2, 2, 5}, {3, 3, 5}, {4, 4, 5}, {100, kNan, 5}}));
  const at::Tensor expected_NK = table({{-2, -1.5, 0}, {-1, -0.5, 0}, {0, 0.5, 0}, {1, 1.5, 0}, {97, kNan, 0}}) / 1.4826;
  EXPECT_TRUE(at::allclose(scaled_NK, expected_NK, 1e-14, 0, /*equal_nan=*/true));
}

// SciPy: two-sided p-values 2 * norm.sf(|z|) of these ten residuals are .44 .70 .85 .25 .44 .70 .56 9e-83 .85 1e-53.
TEST(AutomaticAlpha, TwoOutliersOfTen) {
  const at::Tensor residual_NK = table({{.2}, {-.1}, {.05}, {.3}, {-.2}, {.1}, {-.15}, {5}, {-.05}, {-4.}});
  const auto found = refine::automatic_alpha(residual_NK, 0.1);
  EXPECT_EQ(found.percent_K, (std::vector<double>{20}));
  EXPECT_EQ(found.rejected_NK.sum().item<int64_t>(), 2);
  EXPECT_EQ(found.rejected_NK[7][0].item<int64_t>() + found.rejected_NK[9][0].item<int64_t>(), 2);
  EXPECT_THROW(refine::automatic_alpha(residual_NK, 0), core::ConfigError);
  EXPECT_THROW(refine::automatic_alpha(residual_NK, 1), core::ConfigError);
}

// Clean normal residuals of any scale: nothing to reject. With 5 % shifted by 8 deviations: these 5 %.
TEST(AutomaticAlpha, IsAboutZeroOnCleanDataAndRightOnCorruptedData) {
  at::Tensor residual_NK = test::random_normal(4000, 3, 61) * at::tensor({0.1, 1.0, 30.0}, at::kDouble) + 0.3;
  for (const double percent : refine::automatic_alpha(residual_NK, 0.1).percent_K) EXPECT_LE(percent, 0.1);
  residual_NK.select(1, 1).narrow(0, 0, 200) += 8;
  const auto found = refine::automatic_alpha(residual_NK, 0.1);
  EXPECT_NEAR(found.percent_K[1], 5, 0.6);
  EXPECT_EQ(found.rejected_NK.select(1, 1).narrow(0, 0, 200).sum().item<int64_t>(), 200);
  EXPECT_LE(found.percent_K[0], 0.1);
  EXPECT_LE(found.percent_K[2], 0.1);
}

TEST(AutomaticAlpha, PrunesAsManyLabelsAsStandOut) {
  auto profile = test::profile_of(test::numbered_ids(200), test::random_normal(200, 2, 62).square());
  profile.residual_NK = test::random_normal(200, 2, 63).to(at::kFloat);
  profile.residual_NK.select(1, 0).narrow(0, 50, 10) -= 9;
  profile.self_influence_NK = profile.residual_NK.square();
  const auto [plan, summary] = refine::refine(profile, {.strategy = "ddp", .automatic_alpha = true});
  EXPECT_GE(summary.count_K[0], 10);
  EXPECT_LE(summary.count_K[0], 12);
  EXPECT_LE(summary.count_K[1], 2);
  EXPECT_DOUBLE_EQ(summary.alpha_percent_K[0], static_cast<double>(summary.count_K[0]) / 2);
  for (size_t n = 50; n < 60; ++n) EXPECT_EQ(plan.keep_N[n], 0);
  EXPECT_EQ(plan.header["false_discovery_rate"], 0.1);
}

TEST(AutomaticAlpha, NothingStandsOutNothingGoes) {
  auto profile = test::profile_of({"a", "b", "c", "d"}, table({{1}, {1}, {1}, {1}}));
  profile.residual_NK = table({{-0.2}, {0.1}, {0.2}, {-0.1}}).to(at::kFloat);
  for (const std::string strategy : {"ddp", "mask", "random", "tracin", "high_loss"}) {
    EXPECT_EQ(refine::refine(profile, {.strategy = strategy, .automatic_alpha = true, .budget = "match_union"}).second.removed, 0) << strategy;
  }
}

TEST(PaperBest, IsKnownForVideoFeedback) {
  EXPECT_EQ(refine::paper_best_alpha({"factual consistency", "visual quality", "dynamic degree", "text-to-video alignment", "temporal consistency"}),
            (std::vector<double>{0.5, 0.1, 0.5, 0.1, 0.5}));
  EXPECT_THROW(refine::paper_best_alpha({"sharpness"}), core::ConfigError);
}

}  // namespace
