// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/refine/alpha_search.h>

#include <algorithm>
#include <cmath>

#include "tests/refine/feature_profile.h"

namespace {

using namespace mvrm;
using refine::choose_alpha;
using test::kNan;
using test::table;

// A metric by hand: looks up how many labels of each dimension the plan took. d0 is best at 2 labels, d1 at 4, d2 is never defined.
TEST(AlphaSearch, EachDimensionTakesItsBest) {
  const auto profile = test::profile_of(test::numbered_ids(100), test::random_normal(100, 3, 5).square());
  std::vector<std::string> strategies;
  const auto choice = choose_alpha(profile, {.strategy = "mask"}, {1, 2, 4}, [&](const refine::RefinementPlan& plan) {
    strategies.push_back(plan.header["strategy"]);
    const auto taken = [&](int64_t k) { return plan.weight_NK.select(1, k).eq(0).sum().item<double>(); };
    return std::vector<double>{-std::abs(taken(0) - 2), std::min(taken(1), 4.0), kNan};
  });
  EXPECT_EQ(choice.percent_K, (std::vector<double>{2, 4, 1}));
  EXPECT_TRUE(at::equal(choice.metric_CK.nan_to_num(9), table({{-1, 1, 9}, {0, 2, 9}, {-2, 4, 9}})));
  EXPECT_EQ(strategies, (std::vector<std::string>{"mask", "mask", "mask"}));
}

TEST(AlphaSearch, TheSmallestOfEquals) {
  const auto profile = test::profile_of(test::numbered_ids(100), test::random_normal(100, 1, 6).square());
  const auto choice = choose_alpha(profile, {.strategy = "ddp"}, {0.5, 1, 5}, [](const auto&) { return std::vector<double>{0.7}; });
  EXPECT_EQ(choice.percent_K, (std::vector<double>{0.5}));
  EXPECT_THROW(choose_alpha(profile, {.strategy = "ddp"}, {}, nullptr), core::ConfigError);
  EXPECT_THROW(choose_alpha(profile, {.strategy = "ddp"}, {1, 1}, nullptr), core::ConfigError);
  EXPECT_THROW(choose_alpha(profile, {.strategy = "ddp"}, {0, 1}, [](const auto&) { return std::vector<double>{0.7}; }), core::ConfigError);
}

// 8 % of the labels are wrong. Minus the squared distance to clean validation labels prefers an alpha near that to a tiny or a huge one.
TEST(AlphaSearch, TheRidgeProxyFindsASensibleShare) {
  const auto made = test::feature_profile(1500, 0.08, 15);
  const auto clean = test::feature_profile(1500, 0, 15);   // the same features; labels before the errors
  const auto metric = [&](const at::Tensor& reward_VK) {
    const at::Tensor error_K = (reward_VK - clean.truth_NK).square().mean(0);
    return std::vector<double>{-error_K[0].item<double>(), -error_K[1].item<double>()};
  };
  const auto proxy = refine::ridge_proxy(made.profile, clean.profile.feature_ND, metric);
  const auto choice = choose_alpha(made.profile, {.strategy = "mask"}, {0.1, 8, 60}, proxy);
  EXPECT_EQ(choice.percent_K, (std::vector<double>{8, 8}));
  EXPECT_THROW(proxy(refine::refine(made.profile, {.strategy = "ddr"}).first), core::DataError);
  // Taken out of the one fit or fitted anew without them: the same rewards.
  const auto plan = refine::refine(made.profile, {.strategy = "mask", .alpha_percent_K = {0.5}}).first;
  const auto head = influence::fit_ridge(made.profile.feature_ND, made.profile.label_NK);
  const at::Tensor left_NK = made.profile.label_NK.masked_fill(plan.weight_NK == 0, std::nanf(""));
  at::Tensor seen_VK;
  refine::ridge_proxy(made.profile, head, clean.profile.feature_ND, [&](const at::Tensor& reward_VK) {
    seen_VK = reward_VK;
    return std::vector<double>{0, 0};
  })(plan);
  EXPECT_TRUE(at::allclose(seen_VK, influence::predict(influence::fit_ridge(made.profile.feature_ND, left_NK, {.lambda = head.groups[0].lambda}), clean.profile.feature_ND), 1e-9, 1e-9));
  EXPECT_GT((seen_VK - influence::predict(head, clean.profile.feature_ND)).abs().max().item<double>(), 1e-3);
  auto bare = made.profile;
  bare.feature_ND = at::Tensor();
  EXPECT_THROW(refine::ridge_proxy(bare, made.profile.feature_ND, metric), core::DataError);
}

}  // namespace
