// SPDX-License-Identifier: Apache-2.0
// From a table of self-influence to a plan, by hand; then the laws that hold for every table (spec/influence.md 4).
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/refine/strategy.h>

#include <algorithm>
#include <cmath>

#include "tests/refine/hand_profile.h"

namespace {

using namespace mvrm;
using refine::RefineConfig;
using refine::RefinementPlan;
using test::kNan;
using test::profile_of;
using test::table;

using Keep = std::vector<uint8_t>;

// Rows a..e; b and d tie in the first dimension, c and d in the second; e has no second label.
influence::Profile hand() {
  return profile_of({"a", "b", "c", "d", "e"}, table({{4, 1}, {9, 2}, {1, 8}, {9, 8}, {2, kNan}}),
                    table({{1, 4}, {2, 3}, {3, 2}, {4, 1}, {1, kNan}}));
}
RefinementPlan plan_of(const influence::Profile& profile, const RefineConfig& config) { return refine::refine(profile, config).first; }
std::vector<float> weights_of(const RefinementPlan& plan, int64_t k) {
  const at::Tensor column_N = plan.weight_NK.select(1, k).contiguous();
  return {column_N.const_data_ptr<float>(), column_N.const_data_ptr<float>() + column_N.numel()};
}

// 40 % of 5 labels: 2, b and d. 40 % of 4 labels: ceil(1.6) = 2, c and d.
TEST(Pruning, DropsTheUnionOfTheRiskiestLabels) {
  const auto [plan, summary] = refine::refine(hand(), {.strategy = "ddp", .alpha_percent_K = {40}});
  EXPECT_EQ(plan.keep_N, (Keep{1, 0, 0, 0, 1}));
  EXPECT_EQ(weights_of(plan, 0), (std::vector<float>{1, 0, 0, 0, 1}));
  EXPECT_EQ(weights_of(plan, 1), (std::vector<float>{1, 0, 0, 0, 1}));
  EXPECT_EQ(summary.kept, 2);
  EXPECT_EQ(summary.removed, 3);
  EXPECT_EQ(summary.removed_labels, 6);
  EXPECT_EQ(summary.count_K, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(summary.threshold_K, (std::vector<double>{9, 8}));
  EXPECT_EQ(summary.cumulative_union, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(summary.alpha_percent_K, (std::vector<double>{40, 40}));
  // Labels of the removed rows: b 2 3, c 3 2, d 4 1. Selected: b 2, d 4 in d0; c 2, d 1 in d1.
  EXPECT_EQ(summary.label_histogram_removed, (refine::LabelHistogram{{"1", 1}, {"2", 2}, {"3", 2}, {"4", 1}}));
  EXPECT_EQ(summary.label_histogram_K[0], (refine::LabelHistogram{{"2", 1}, {"4", 1}}));
  EXPECT_EQ(summary.label_histogram_K[1], (refine::LabelHistogram{{"1", 1}, {"2", 1}}));
  EXPECT_DOUBLE_EQ(summary.mean_weight_K[0], 0.4);
  EXPECT_DOUBLE_EQ(summary.mean_weight_K[1], 0.25);
  EXPECT_DOUBLE_EQ(summary.effective_share, 3.0 / 9.0);   // 3 of 9 labels weigh 1
  EXPECT_EQ(summary.weight_quantiles.front(), 1);
}

TEST(Pruning, TakesOneAlphaForEachDimension) {
  // ceil(.2 * 5) = 1: b, because its id comes before d's; ceil(.5 * 4) = 2: c and d.
  EXPECT_EQ(plan_of(hand(), {.strategy = "ddp", .alpha_percent_K = {20, 50}}).keep_N, (Keep{1, 0, 0, 0, 1}));
  EXPECT_EQ(plan_of(hand(), {.strategy = "ddp", .alpha_percent_K = {20, 1}}).keep_N, (Keep{1, 0, 0, 1, 1}));
}

TEST(Masking, DropsOnlyTheSelectedLabels) {
  const auto [plan, summary] = refine::refine(hand(), {.strategy = "mask", .alpha_percent_K = {40}});
  EXPECT_EQ(plan.keep_N, (Keep{1, 1, 1, 1, 1}));
  EXPECT_EQ(weights_of(plan, 0), (std::vector<float>{1, 0, 1, 0, 1}));
  EXPECT_EQ(weights_of(plan, 1), (std::vector<float>{1, 1, 0, 0, 1}));
  EXPECT_EQ(summary.removed, 0);
  EXPECT_EQ(summary.removed_labels, 4);
}

TEST(Masking, IsPruningWhenThereIsOneDimension) {
  const auto profile = profile_of(test::numbered_ids(50), test::random_normal(50, 1, 3).square());
  const RefineConfig ddp{.strategy = "ddp", .alpha_percent_K = {7}}, mask{.strategy = "mask", .alpha_percent_K = {7}};
  EXPECT_TRUE(at::equal(plan_of(profile, ddp).weight_NK, plan_of(profile, mask).weight_NK));
  EXPECT_EQ(plan_of(profile, mask).weight_NK.eq(0).sum().item<int64_t>(), 4);   // ceil(3.5)
}

// NumPy: z = (S - S.mean(0)) / S.std(0); w = 1 / (1 + exp(z / tau)); w * w.size / w.sum()
TEST(Reweighting, AgreesWithNumPy) {
  const at::Tensor risk_NK = table({{1, 10}, {2, 10}, {3, 40}, {4, 20}});
  const at::Tensor z_NK = refine::z_scores(risk_NK);
  EXPECT_TRUE(at::allclose(z_NK, table({{-1.34164079, -0.81649658}, {-0.4472136, -0.81649658}, {0.4472136, 1.63299316}, {1.34164079, 0}}), 1e-7, 1e-8));
  EXPECT_TRUE(at::allclose(refine::disentangled_reweighting(risk_NK, 1),
                           table({{1.56578837, 1.36972406}, {1.20477143, 1.36972406}, {0.77033967, 0.32277412}, {0.40932274, 0.98755555}}), 1e-7, 1e-8));
  EXPECT_TRUE(at::allclose(refine::disentangled_reweighting(risk_NK, 0.25),
                           table({{1.79831055, 1.74030033}, {1.5479643, 1.74030033}, {0.25874464, 0.00262698}, {0.00839839, 0.90335447}}), 1e-7, 1e-8));
}

// By hand: z of {0, 2} is {-1, 1}, so the weights are 2 / (1 + e^-1) and 2 / (1 + e); the constant column has deviation 0 and z = 0, weight
// 1/2 before scaling; the four cells sum to 2 before scaling, so the factor is 2.
TEST(Reweighting, ConstantDimensionHasNoOpinion) {
  const at::Tensor weight_NK = refine::disentangled_reweighting(table({{0, 5}, {2, 5}}), 1);
  EXPECT_NEAR(weight_NK[0][0].item<double>(), 2 / (1 + std::exp(-1.0)), 1e-15);
  EXPECT_NEAR(weight_NK[1][0].item<double>(), 2 / (1 + std::exp(1.0)), 1e-15);
  EXPECT_DOUBLE_EQ(weight_NK[0][1].item<double>(), 1);
  EXPECT_DOUBLE_EQ(weight_NK[1][1].item<double>(), 1);
}

TEST(Reweighting, UnlabelledCellsWeighOneAndCountNothing) {
  const at::Tensor with = refine::disentangled_reweighting(table({{0, kNan}, {2, kNan}}), 1);
  EXPECT_EQ(with[0][1].item<double>(), 1);
  EXPECT_NEAR(with[0][0].item<double>(), 2 / (1 + std::exp(-1.0)), 1e-15);
}

class ReweightingLaws : public ::testing::TestWithParam<double> {};
TEST_P(ReweightingLaws, MeanIsOneAndOnlyDistancesCount) {
  const at::Tensor risk_NK = test::random_normal(300, 5, 11).square() * at::tensor({1.0, 100.0, 0.01, 7.0, 3.0}, at::kDouble);
  const at::Tensor weight_NK = refine::disentangled_reweighting(risk_NK, GetParam());
  EXPECT_NEAR(weight_NK.mean().item<double>(), 1, 1e-12);
  // A dyadic constant and data far above its rounding: equality to the last digits, not only in ranks.
  EXPECT_TRUE(at::allclose(refine::disentangled_reweighting(risk_NK + 64, GetParam()), weight_NK, 1e-9, 1e-12));
  EXPECT_TRUE(at::allclose(refine::disentangled_reweighting(risk_NK * 1e6, GetParam()), weight_NK, 1e-11, 1e-13));
  for (int64_t k = 0; k < 5; ++k) {   // never rises with risk
    const auto [sorted, order] = risk_NK.select(1, k).sort();
    EXPECT_TRUE((weight_NK.select(1, k).index_select(0, order).diff() <= 0).all().item<bool>());
  }
}
INSTANTIATE_TEST_SUITE_P(Taus, ReweightingLaws, ::testing::Values(0.1, 0.5, 1.0, 5.0));

TEST(Reweighting, LimitsOfTau) {
  const at::Tensor risk_NK = table({{1, 10}, {2, 10}, {3, 40}, {4, 20}});
  EXPECT_TRUE(at::allclose(refine::disentangled_reweighting(risk_NK, 1e9), at::ones({4, 2}, at::kDouble), 0, 1e-8));
  // z < 0 -> 1, z > 0 -> 0, z = 0 -> 1/2 before scaling: sum 4.5 of 8 cells.
  const at::Tensor sharp_NK = refine::disentangled_reweighting(risk_NK, 1e-9);
  EXPECT_TRUE(at::allclose(sharp_NK, table({{1, 1}, {1, 1}, {0, 0}, {0, 0.5}}) * (8 / 4.5), 1e-12, 1e-300));
}

TEST(PruneThenReweight, StatisticsComeFromTheKeptSamples) {
  // b, c, d go (as above). Kept: a (4, 1) and e (2, none): z of {4, 2} is {1, -1}; d1 has one label, z = 0.
  const auto plan = plan_of(hand(), {.strategy = "ddp+ddr", .alpha_percent_K = {40}});
  EXPECT_EQ(plan.keep_N, (Keep{1, 0, 0, 0, 1}));
  const double low = 1 / (1 + std::exp(1.0)), high = 1 / (1 + std::exp(-1.0)), sum = low + high + 0.5;
  EXPECT_NEAR(plan.weight_NK[0][0].item<double>(), low * 3 / sum, 1e-7);
  EXPECT_NEAR(plan.weight_NK[4][0].item<double>(), high * 3 / sum, 1e-7);
  EXPECT_NEAR(plan.weight_NK[0][1].item<double>(), 0.5 * 3 / sum, 1e-7);
  for (const int64_t n : {1, 2, 3}) EXPECT_EQ(plan.weight_NK[n].abs().sum().item<double>(), 0);
}

// alpha in percent: (0, 100] of 40 samples, with ties on purpose (values are rounded) and holes.
TEST(PruningLaws, BudgetMonotonyAndTies) {
  at::Tensor risk_NK = (test::random_normal(40, 3, 5).square() * 3).round();
  risk_NK[7][1] = kNan;
  risk_NK[8][2] = kNan;
  const auto profile = profile_of(test::numbered_ids(40), risk_NK);
  Keep before(40, 1);
  for (const double alpha : {0.1, 2.5, 5.0, 10.0, 33.0, 60.0, 80.0}) {
    const auto [plan, summary] = refine::refine(profile, {.strategy = "ddp", .alpha_percent_K = {alpha}});
    const int64_t most = std::max({summary.count_K[0], summary.count_K[1], summary.count_K[2]});
    EXPECT_EQ(summary.count_K[0], static_cast<int64_t>(std::ceil(alpha * 40 / 100 - 1e-9)));
    EXPECT_EQ(summary.count_K[1], static_cast<int64_t>(std::ceil(alpha * 39 / 100 - 1e-9)));
    EXPECT_LE(summary.removed, summary.count_K[0] + summary.count_K[1] + summary.count_K[2]);
    EXPECT_GE(summary.removed, most);
    EXPECT_EQ(summary.removed, summary.cumulative_union.back());
    for (size_t n = 0; n < 40; ++n) EXPECT_LE(plan.keep_N[n], before[n]) << "came back at a larger alpha";
    before = plan.keep_N;
    EXPECT_EQ(plan_of(profile, {.strategy = "ddp", .alpha_percent_K = {alpha}}).keep_N, plan.keep_N);
  }
}

TEST(PruningLaws, AllEqualTakesTheFirstIds) {
  const auto profile = profile_of(test::numbered_ids(20), at::full({20, 2}, 3.0, at::kDouble));
  const auto plan = plan_of(profile, {.strategy = "ddp", .alpha_percent_K = {25}});
  Keep expected(20, 1);
  std::fill(expected.begin(), expected.begin() + 5, 0);
  EXPECT_EQ(plan.keep_N, expected);
}

TEST(PruningLaws, UnlabelledCellsAreNeverSelected) {
  const auto profile = profile_of({"a", "b", "c"}, table({{kNan, 1}, {1, 2}, {2, kNan}}));
  const auto [plan, summary] = refine::refine(profile, {.strategy = "mask", .alpha_percent_K = {50}});
  EXPECT_EQ(summary.count_K, (std::vector<int64_t>{1, 1}));
  EXPECT_EQ(weights_of(plan, 0), (std::vector<float>{1, 1, 0}));
  EXPECT_EQ(weights_of(plan, 1), (std::vector<float>{1, 0, 1}));
}

// Every strategy: another order of the rows gives the same decision for each id, ties included.
TEST(StrategyLaws, PermutingSamplesPermutesThePlan) {
  const at::Tensor risk_NK = (test::random_normal(60, 4, 9).square() * 2).round() + 0.25;
  const auto ids = test::numbered_ids(60);
  const auto profile = profile_of(ids, risk_NK);
  at::Tensor order = at::empty({60}, at::kLong);
  for (int64_t n = 0; n < 60; ++n) order[n] = (n * 37 + 11) % 60;
  std::vector<std::string> shuffled;
  for (int64_t n = 0; n < 60; ++n) shuffled.push_back(ids[static_cast<size_t>(order[n].item<int64_t>())]);
  const auto other = profile_of(shuffled, risk_NK.index_select(0, order));
  for (const auto& entry : refine::strategies()) {
    SCOPED_TRACE(entry.name);
    for (const std::string budget : {"alpha", "match_union"}) {
      RefineConfig config{.strategy = entry.name, .alpha_percent_K = {6}, .budget = budget};
      RefineConfig moved = config;
      config.risk_tables = {{"row_sum", risk_NK}, {"uncertainty", risk_NK}};
      moved.risk_tables = {{"row_sum", other.self_influence_NK}, {"uncertainty", other.self_influence_NK}};
      const auto a = plan_of(profile, config), b = plan_of(other, moved);
      EXPECT_TRUE(at::allclose(b.weight_NK, a.weight_NK.index_select(0, order), 1e-6, 0));
      for (int64_t n = 0; n < 60; ++n) EXPECT_EQ(b.keep_N[static_cast<size_t>(n)], a.keep_N[static_cast<size_t>(order[n].item<int64_t>())]);
    }
  }
}

TEST(StrategyLaws, ScalingRisksOrPermutingDimensionsChangesNoDecision) {
  const at::Tensor risk_NK = test::random_normal(80, 3, 21).square();
  const auto ids = test::numbered_ids(80);
  const auto plan = plan_of(profile_of(ids, risk_NK), {.strategy = "ddp", .alpha_percent_K = {5}});
  EXPECT_EQ(plan_of(profile_of(ids, risk_NK * 16), {.strategy = "ddp", .alpha_percent_K = {5}}).keep_N, plan.keep_N);
  EXPECT_EQ(plan_of(profile_of(ids, risk_NK.flip(1)), {.strategy = "ddp", .alpha_percent_K = {5}}).keep_N, plan.keep_N);
}

void expect_config_error(const RefineConfig& config, const std::vector<std::string>& parts) {
  try {
    refine::refine(hand(), config);
    FAIL() << "accepted";
  } catch (const core::ConfigError& error) {
    for (const auto& part : parts) EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << "no '" << part << "' in " << error.what();
  }
}

TEST(StrategyErrors, ValuesOutOfRangeAreNamed) {
  expect_config_error({.strategy = "dpp"}, {"dpp", "ddp", "tracin_zsum", "correction"});
  for (const double alpha : {0.0, -1.0, 100.5, kNan}) expect_config_error({.strategy = "ddp", .alpha_percent_K = {alpha}}, {"alpha", "above 0"});
  for (const double tau : {0.0, -1.0, kNan, HUGE_VAL}) expect_config_error({.strategy = "ddr", .tau = tau}, {"tau", "above 0"});
  for (const double q : {0.0, 1.0, kNan}) expect_config_error({.strategy = "ddp", .automatic_alpha = true, .false_discovery_rate = q}, {"fdr"});
  expect_config_error({.strategy = "ddp", .budget = "half"}, {"budget", "match_union"});
  expect_config_error({.strategy = "ddp", .alpha_percent_K = {1, 2, 3}}, {"3 values for 2 dimensions"});
  expect_config_error({.strategy = "ddp", .alpha_percent_K = {100}}, {"removes every label", "lower alpha"});
}

TEST(StrategyErrors, ProfilesThatCannotBeRefined) {
  const auto all_missing = profile_of({"a"}, table({{kNan, kNan}}));
  EXPECT_THROW(refine::refine(all_missing, {.strategy = "ddp"}), core::DataError);
  EXPECT_THROW(refine::refine(influence::Profile{}, {.strategy = "ddp"}), core::DataError);
  auto infinite = hand();
  infinite.self_influence_NK[0][0] = HUGE_VAL;
  EXPECT_THROW(refine::refine(infinite, {.strategy = "ddp"}), core::DataError);
  auto incomplete = hand();
  incomplete.self_influence_NK[0][0] = kNan;   // a label, but no influence
  EXPECT_THROW(refine::refine(incomplete, {.strategy = "ddp"}), core::DataError);
  auto diverged = hand();
  diverged.self_influence_NK.select(1, 0).fill_(kNan);   // no residual either
  diverged.residual_NK.select(1, 0).fill_(kNan);
  EXPECT_THROW(refine::refine(diverged, {.strategy = "ddp"}), core::DataError);
}

// A ridge head needs two labels, the Bayesian one three: their estimators leave such a dimension without numbers.
TEST(StrategyErrors, ADimensionThatTheEstimatorCannotTellIsLeftAlone) {
  auto profile = profile_of({"a", "b", "c"}, table({{3, kNan}, {2, kNan}, {1, kNan}}), table({{1, kNan}, {1, 4}, {1, kNan}}));
  profile.residual_NK = table({{1, kNan}, {1, 2}, {1, kNan}}).to(at::kFloat);
  for (const char* strategy : {"ddp", "ddr", "mask", "ddp+ddr", "random", "high_loss", "tracin", "tracin_zsum"}) {
    SCOPED_TRACE(strategy);
    const auto [plan, summary] = refine::refine(profile, {.strategy = strategy, .alpha_percent_K = {30}});
    EXPECT_EQ(summary.not_estimated, std::vector<std::string>{profile.dimensions[1]});
    EXPECT_TRUE(plan.weight_NK.isfinite().all().item<bool>());
    if (std::string(strategy) != "random" && std::string(strategy) != "high_loss") {
      EXPECT_EQ(summary.count_K[1], 0);
      EXPECT_EQ(plan.weight_NK[1][1].item<double>(), 1);
    }
  }
  profile.self_influence_NK.fill_(kNan);
  try {
    refine::refine(profile, {.strategy = "ddp"});
    FAIL() << "accepted";
  } catch (const core::DataError& error) {
    EXPECT_NE(std::string(error.what()).find("has no number for any label"), std::string::npos) << error.what();
  }
}

// Fewer samples than dimensions, one dimension without any label, all risks equal: defined results.
TEST(StrategyErrors, DegenerateTablesAreDefined) {
  const auto profile = profile_of({"a", "b"}, table({{2, 1, kNan}, {1, 1, kNan}}));
  const auto [pruned, summary] = refine::refine(profile, {.strategy = "ddp", .alpha_percent_K = {50}});
  EXPECT_EQ(summary.count_K, (std::vector<int64_t>{1, 1, 0}));
  EXPECT_TRUE(std::isnan(summary.threshold_K[2]));
  EXPECT_TRUE(std::isnan(summary.mean_weight_K[2]));
  const auto weighted = plan_of(profile, {.strategy = "ddr"});
  EXPECT_NEAR(weighted.weight_NK[0][1].item<double>(), weighted.weight_NK[1][1].item<double>(), 0);
  EXPECT_EQ(weighted.weight_NK[0][2].item<double>(), 1);
  EXPECT_FALSE(refine::to_json(summary, profile.dimensions).dump().empty());
}

}  // namespace
