// SPDX-License-Identifier: Apache-2.0
// Every expected number is worked by hand.
#include <ATen/ATen.h>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <mvrm/core/error.h>
#include <mvrm/train/loss.h>
#include <vector>

namespace mvrm::train {
namespace {

at::Tensor table(const std::vector<std::vector<double>>& rows, at::ScalarType dtype = at::kDouble) {
  at::Tensor result = at::empty({static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows.front().size())}, at::kDouble);
  for (size_t i = 0; i < rows.size(); ++i)
    for (size_t k = 0; k < rows[i].size(); ++k) result[static_cast<int64_t>(i)][static_cast<int64_t>(k)] = rows[i][k];
  return result.to(dtype);
}
const double kNone = std::numeric_limits<double>::quiet_NaN();

TEST(Loss, WeightsSquaredResidualsOverAFixedDivisor) {
  const WeightedLoss loss = weighted_loss(table({{3, 1}, {2, 4}}), table({{1, 2}, {2.5, 1}}), table({{1, 0.5}, {2, 0.25}}), 4);
  EXPECT_TRUE(at::equal(loss.gradient_BK, table({{1, -0.25}, {-0.5, 0.375}}))) << loss.gradient_BK;
  EXPECT_TRUE(at::equal(loss.row_BC, table({{4.5, 4, 1, 1, 1}, {2.75, 0.25, 9, 1, 1}}))) << loss.row_BC;
}

// Halving all weights halves the gradient: a division by the sum of weights would leave it as it was.
TEST(Loss, ScalesWithTheWeights) {
  const at::Tensor reward = table({{3, 1}}), label = table({{1, 2}});
  const at::Tensor one = weighted_loss(reward, label, table({{1, 1}}), 2).gradient_BK;
  EXPECT_TRUE(at::equal(one, table({{2, -1}})));
  EXPECT_TRUE(at::equal(weighted_loss(reward, label, table({{0.5, 0.5}}), 2).gradient_BK, table({{1, -0.5}})));
}

TEST(Loss, ACellWithoutLabelCountsNothing) {
  const WeightedLoss loss = weighted_loss(table({{3, 1}}), table({{kNone, 2}}, at::kFloat), table({{7, 1}}), 2);
  EXPECT_TRUE(at::equal(loss.gradient_BK, table({{0, -1}})));
  EXPECT_TRUE(at::equal(loss.row_BC, table({{1, 0, 1, 0, 1}})));
}

TEST(Loss, AWeightOfZeroKeepsTheLabelInTheLog) {
  const WeightedLoss loss = weighted_loss(table({{3, 1}}), table({{1, 2}}), table({{0, 1}}), 2);
  EXPECT_TRUE(at::equal(loss.gradient_BK, table({{0, -1}})));
  EXPECT_TRUE(at::equal(loss.row_BC, table({{1, 4, 1, 1, 1}})));
}

// Dropping a dimension's label from a subset must not move the others by a bit (spec/reliability.md R10).
TEST(Loss, DroppingLabelsOfOneDimensionLeavesTheOthersAlone) {
  at::manual_seed(3);
  const at::Tensor reward = at::rand({6, 5}, at::kFloat) * 4, label = at::rand({6, 5}, at::kFloat) * 4, weight = at::rand({6, 5}, at::kDouble);
  for (int64_t k = 0; k < 5; ++k) {
    at::Tensor fewer = label.clone();
    for (const int64_t row : {0, 2, 5}) fewer[row][k] = kNone;
    const at::Tensor all = weighted_loss(reward, label, weight, 30).gradient_BK, some = weighted_loss(reward, fewer, weight, 30).gradient_BK;
    for (int64_t other = 0; other < 5; ++other)
      EXPECT_EQ(at::equal(all.select(1, other), some.select(1, other)), other != k) << other << " with labels of " << k << " dropped";
  }
}

// A reward that is not a number must be seen, also where the plan gives it no weight.
TEST(Loss, ANotFiniteRewardReachesTheLog) {
  const WeightedLoss loss = weighted_loss(table({{kNone, 1}}), table({{1, 2}}), table({{0, 1}}), 2);
  EXPECT_TRUE(std::isnan(loss.row_BC[0][0].item<double>()));
}

TEST(Loss, KeepsTheRewardsDtypeAndRefusesADivisorOfZero) {
  const at::Tensor reward = table({{3, 1}}, at::kBFloat16);
  EXPECT_EQ(weighted_loss(reward, table({{1, 2}}), table({{1, 1}}), 2).gradient_BK.scalar_type(), at::kBFloat16);
  EXPECT_THROW(weighted_loss(reward, reward, table({{1, 1}}), 0), core::Error);
}

}  // namespace
}  // namespace mvrm::train
