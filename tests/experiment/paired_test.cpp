// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/experiment/paired.h>

namespace {

using namespace mvrm::experiment;

TEST(Paired, SummaryOfHandWorkedNumbers) {
  const Summary s = summarise({1, 2, 3, 6});   // mean 3, squares 4 + 1 + 0 + 9 = 14
  EXPECT_DOUBLE_EQ(s.mean, 3);
  EXPECT_DOUBLE_EQ(s.std, std::sqrt(14.0 / 3));
  EXPECT_NEAR(s.high - s.mean, 3.182446305284263 * std::sqrt(14.0 / 3) / 2, 1e-12);
  EXPECT_EQ(s.n, 4);
}

TEST(Paired, OneSeedHasNoInterval) {
  const Summary s = summarise({0.25});
  EXPECT_DOUBLE_EQ(s.mean, 0.25);
  EXPECT_TRUE(std::isnan(s.std) && std::isnan(s.low) && std::isnan(s.high));
  EXPECT_EQ(verdict(s), "one seed: no interval");
}

TEST(Paired, WhatAllSeedsShareDropsOut) {
  const Summary s = paired_difference({10.5, 20.6, 30.7}, {10, 20, 30});
  EXPECT_NEAR(s.mean, 0.6, 1e-12);
  EXPECT_NEAR(s.std, 0.1, 1e-12);
  EXPECT_EQ(verdict(s), "helps");
  EXPECT_EQ(verdict(paired_difference({1, 2}, {3, 4.5})), "no difference shown");
  EXPECT_EQ(verdict(paired_difference({1, 2, 3}, {3, 4, 5.1})), "hurts");
  EXPECT_THROW(paired_difference({1}, {1, 2}), mvrm::core::Error);
}

// scipy.stats.t.ppf(0.975, n)
TEST(Paired, QuantilesOfStudentsT) {
  EXPECT_NEAR(t_quantile(1), 12.706204736432095, 1e-12);
  EXPECT_NEAR(t_quantile(4), 2.776445105197793, 1e-12);
  EXPECT_NEAR(t_quantile(11), 2.200985160082949, 3e-4);
  EXPECT_NEAR(t_quantile(30), 2.0422724563012373, 1e-5);
  EXPECT_NEAR(t_quantile(1000), 1.9623390808264078, 1e-8);
}

}  // namespace
