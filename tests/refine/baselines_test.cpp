// SPDX-License-Identifier: Apache-2.0
// The baselines by hand, and the equal budget.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/refine/strategy.h>

#include <algorithm>

#include "tests/refine/hand_profile.h"

namespace {

using namespace mvrm;
using refine::RefineConfig;
using test::kNan;
using test::profile_of;
using test::table;
using Keep = std::vector<uint8_t>;

Keep keep_of(const influence::Profile& profile, const RefineConfig& config) { return refine::refine(profile, config).first.keep_N; }
int64_t removed(const Keep& keep) { return std::count(keep.begin(), keep.end(), 0); }

// d0 is loud: its risks are 100 times those of d1. ddp at 20 % takes b (d0) and e (d1): a budget of 2.
influence::Profile loud() { return profile_of({"a", "b", "c", "d", "e"}, table({{100, 1}, {400, 2}, {300, 1}, {200, 2}, {150, 90}})); }

TEST(Baselines, ScalarSumIsRuledByTheLoudDimension) {
  EXPECT_EQ(keep_of(loud(), {.strategy = "ddp", .alpha_percent_K = {20}}), (Keep{1, 0, 1, 1, 0}));
  // Sums: 101, 402, 301, 202, 240: b and c go, e stays.
  EXPECT_EQ(keep_of(loud(), {.strategy = "tracin", .alpha_percent_K = {20}}), (Keep{1, 0, 0, 1, 1}));
  // z-scores. d0: mean 230, deviations -130 170 70 -30 -80, sd 107.7: -1.21 1.58 .65 -.28 -.74. d1: mean 19.2, deviations -18.2 -17.2 -18.2
  // -17.2 70.8, sd 35.4: -.51 -.49 -.51 -.49 2.00. Sums: -1.72 1.09 .14 -.77 1.26: b and e go.
  EXPECT_EQ(keep_of(loud(), {.strategy = "tracin_zsum", .alpha_percent_K = {20}}), (Keep{1, 0, 1, 1, 0}));
}

// ddp at 25 %: d in d0 (7), a in d1 (its only label): a budget of 2. Sums: 3, 5, 6, 7: c and d go; c has no second label.
TEST(Baselines, SelectedCellsOfARemovedSampleAreItsLabels) {
  const auto profile = profile_of({"a", "b", "c", "d"}, table({{1, 2}, {5, kNan}, {6, kNan}, {7, kNan}}));
  const auto [plan, summary] = refine::refine(profile, {.strategy = "tracin", .alpha_percent_K = {25}});
  EXPECT_EQ(plan.keep_N, (Keep{1, 1, 0, 0}));
  EXPECT_EQ(summary.count_K, (std::vector<int64_t>{2, 0}));
  EXPECT_EQ(summary.removed_labels, 2);
}

TEST(Baselines, HighLossRanksSquaredResiduals) {
  auto profile = profile_of({"a", "b", "c", "d"}, table({{9, 1}, {8, 2}, {1, 3}, {1, 4}}));
  profile.residual_NK = table({{1, 0.1}, {-3, 0.2}, {2, 0.3}, {0.5, -0.9}}).to(at::kFloat);
  const auto [plan, summary] = refine::refine(profile, {.strategy = "high_loss", .alpha_percent_K = {25}});
  EXPECT_EQ(plan.keep_N, (Keep{1, 0, 1, 0}));   // r^2: 1 9 4 .25 and .01 .04 .09 .81
  EXPECT_FLOAT_EQ(static_cast<float>(summary.threshold_K[0]), 9);
  EXPECT_NEAR(summary.threshold_K[1], 0.81, 1e-6);
}

// One factor on all alphas until as many samples are gone as ddp removes. Risks by hand, 10 samples, alpha 20 %: 2 labels a dimension.
// Self-influence: top of d0: a b, of d1: c d: ddp removes 4. Loss: top of d0: a b c d e …, of d1: a b c d e …, the same order: at alpha
// it removes 2, with the equal budget the factor is 2 and a b c d go.
TEST(Budget, PerDimensionRankingsMatchTheUnion) {
  const auto ids = std::vector<std::string>{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
  auto profile = profile_of(ids, table({{90, 1}, {80, 1}, {1, 90}, {1, 80}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {6, 6}, {7, 7}}));
  at::Tensor loss_NK = at::empty({10, 2}, at::kDouble);
  for (int64_t n = 0; n < 10; ++n) loss_NK[n].fill_(static_cast<double>(10 - n));
  profile.residual_NK = loss_NK.sqrt().to(at::kFloat);
  EXPECT_EQ(removed(keep_of(profile, {.strategy = "ddp", .alpha_percent_K = {20}})), 4);
  EXPECT_EQ(keep_of(profile, {.strategy = "high_loss", .alpha_percent_K = {20}}), (Keep{0, 0, 1, 1, 1, 1, 1, 1, 1, 1}));
  const auto [plan, summary] = refine::refine(profile, {.strategy = "high_loss", .alpha_percent_K = {20}, .budget = "match_union"});
  EXPECT_EQ(plan.keep_N, (Keep{0, 0, 0, 0, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(summary.count_K, (std::vector<int64_t>{4, 4}));
}

TEST(Budget, EveryStrategyRemovesAsManySamplesAsPruning) {
  const auto ids = test::numbered_ids(200);
  const at::Tensor risk_NK = test::random_normal(200, 5, 31).square();
  auto profile = profile_of(ids, risk_NK);
  profile.residual_NK = test::random_normal(200, 5, 32).to(at::kFloat);
  for (const std::vector<double>& alpha : {std::vector<double>{1}, {0.4, 1, 3, 5, 9}}) {
    RefineConfig config{.strategy = "ddp", .alpha_percent_K = alpha};
    const int64_t budget = removed(keep_of(profile, config));
    ASSERT_GT(budget, 0);
    config.risk_tables = {{"row_sum", test::random_normal(200, 5, 33)}, {"uncertainty", test::random_normal(200, 5, 34)}};
    config.budget = "match_union";
    for (const std::string name : {"ddp", "ddp+ddr", "high_loss", "uncertainty", "tracin", "tracin_zsum", "random", "row_sum_ddp"}) {
      config.strategy = name;
      EXPECT_EQ(removed(keep_of(profile, config)), budget) << name;
    }
  }
}

// ddp takes a, b, c and d with all their labels, eight of them: so does masking, from the top of both dimensions.
TEST(Budget, MaskingTakesAsManyLabelsAsPruning) {
  auto profile = profile_of({"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"},
                            table({{90, 1}, {80, 1}, {1, 90}, {1, 80}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {6, 6}, {7, 7}}));
  EXPECT_EQ(refine::refine(profile, {.strategy = "ddp", .alpha_percent_K = {20}}).second.removed_labels, 8);
  const auto [plan, summary] = refine::refine(profile, {.strategy = "mask", .alpha_percent_K = {20}, .budget = "match_union"});
  EXPECT_EQ(summary.removed, 0);
  EXPECT_EQ(summary.removed_labels, 8);
  EXPECT_TRUE(at::equal(plan.weight_NK, table({{0, 1}, {0, 1}, {1, 0}, {1, 0}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}}).to(at::kFloat))) << plan.weight_NK;
  // A label that is missing is not counted: a, b, d whole and c's second one, seven.
  profile.label_NK[2][0] = profile.self_influence_NK[2][0] = profile.residual_NK[2][0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(refine::refine(profile, {.strategy = "mask", .alpha_percent_K = {20}, .budget = "match_union"}).second.removed_labels, 7);
}

// Pruning on its own risk at the factor 1 is pruning.
TEST(Budget, FactorOneIsPruning) {
  const at::Tensor risk_NK = (test::random_normal(90, 3, 41).square() * 3).round();
  const auto profile = profile_of(test::numbered_ids(90), risk_NK);
  RefineConfig config{.strategy = "ddp", .alpha_percent_K = {4, 7, 2}};
  const auto ddp = refine::refine(profile, config);
  config.strategy = "row_sum_ddp";
  config.budget = "match_union";
  config.risk_tables = {{"row_sum", risk_NK}};
  const auto other = refine::refine(profile, config);
  EXPECT_EQ(other.first.keep_N, ddp.first.keep_N);
  EXPECT_EQ(other.second.count_K, ddp.second.count_K);
}

TEST(Random, DependsOnSeedAndIdOnly) {
  const auto ids = test::numbered_ids(100);
  const auto profile = profile_of(ids, test::random_normal(100, 2, 51).square());
  const RefineConfig config{.strategy = "random", .alpha_percent_K = {10}, .seed = 7};
  const auto keep = keep_of(profile, config);
  EXPECT_EQ(keep_of(profile, config), keep);
  EXPECT_NE(keep_of(profile, {.strategy = "random", .alpha_percent_K = {10}, .seed = 8}), keep);
  auto other_risks = profile_of(ids, test::random_normal(100, 2, 51).square().flip(0));
  EXPECT_EQ(removed(keep_of(other_risks, config)), removed(keep));
}

TEST(RowSums, MayBeNegative) {
  const auto profile = profile_of({"a", "b", "c", "d"}, table({{1}, {2}, {3}, {4}}));
  RefineConfig config{.strategy = "row_sum_ddp", .alpha_percent_K = {25}, .risk_tables = {{"row_sum", table({{-5}, {-1}, {-2}, {-3}})}}};
  EXPECT_EQ(keep_of(profile, config), (Keep{1, 0, 1, 1}));
  config.strategy = "row_sum_ddr";
  const auto [plan, summary] = refine::refine(profile, config);
  EXPECT_EQ(summary.removed, 0);
  EXPECT_LT(plan.weight_NK[1][0].item<double>(), plan.weight_NK[2][0].item<double>());
  EXPECT_NEAR(plan.weight_NK.mean().item<double>(), 1, 1e-6);
  EXPECT_TRUE(summary.alpha_percent_K.empty());
}

TEST(MissingTables, SayWhatToRun) {
  const auto profile = profile_of({"a", "b"}, table({{1}, {2}}));
  for (const std::string name : {"row_sum_ddp", "row_sum_ddr", "uncertainty"}) {
    try {
      refine::refine(profile, {.strategy = name, .alpha_percent_K = {50}});
      FAIL() << name;
    } catch (const core::Error& error) {
      EXPECT_NE(std::string(error.what()).find("mvrm profile"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
