// SPDX-License-Identifier: Apache-2.0
// Numbers from SciPy: tests/eval/scipy_values.json, written by scripts/record_scipy_values.py.
#include <gtest/gtest.h>
#include <mvrm/core/files.h>
#include <mvrm/eval/rank_correlation.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

namespace {

using mvrm::eval::average_ranks;
using mvrm::eval::Correlation;
using mvrm::eval::kendall;
using mvrm::eval::pearson;
using mvrm::eval::spearman;
using Json = nlohmann::json;

TEST(RankCorrelation, TiesShareTheMeanRank) {
  EXPECT_EQ(average_ranks({30, 10, 20, 10}), (std::vector<double>{4, 1.5, 3, 1.5}));
  EXPECT_DOUBLE_EQ(spearman({1, 2, 3}, {1, 3, 2}).r, 0.5);
}

double number(const Json& value) {
  if (value.is_null()) return std::numeric_limits<double>::quiet_NaN();
  if (value.is_string()) return value == "inf" ? HUGE_VAL : -HUGE_VAL;
  return value.get<double>();
}

std::vector<double> numbers(const Json& list) {
  std::vector<double> values;
  for (const auto& value : list) values.push_back(number(value));
  return values;
}

void expect_agrees(const Correlation& result, const Json& recorded, const char* what) {
  const double r = number(recorded.at(0)), p = number(recorded.at(1));
  EXPECT_EQ(std::isnan(result.r), std::isnan(r)) << what;
  EXPECT_EQ(std::isnan(result.p_value), std::isnan(p)) << what;
  if (!std::isnan(r)) {
    EXPECT_NEAR(result.r, r, 1e-14) << what;
  }
  if (!std::isnan(p)) {
    EXPECT_NEAR(result.p_value, p, p * (1e-11 + 1e-14 / std::max(1 - r * r, 1e-12)) + 1e-200) << what;  // the last digit of r near 1 counts
  }
}

class SciPy : public testing::TestWithParam<const char*> {};

TEST_P(SciPy, SaysTheSame) {
  const auto path = std::filesystem::path(MVRM_SOURCE_DIR) / "tests/eval/scipy_values.json";
  const Json recorded = Json::parse(mvrm::core::read_file(path)).at(GetParam());
  ASSERT_EQ(recorded.size(), GetParam() == std::string("random") ? 200U : 23U);
  for (const auto& entry : recorded) {
    SCOPED_TRACE(entry.at("name").get<std::string>());
    const auto a = numbers(entry.at("a")), b = numbers(entry.at("b"));
    expect_agrees(spearman(a, b), entry.at("spearman"), "Spearman");
    expect_agrees(pearson(a, b), entry.at("pearson"), "Pearson");
    expect_agrees(kendall(a, b), entry.at("kendall"), "Kendall");
    if (!entry.at("ranks_a").is_null()) {
      EXPECT_EQ(average_ranks(a), numbers(entry.at("ranks_a")));
    }
  }
}
INSTANTIATE_TEST_SUITE_P(RankCorrelation, SciPy, testing::Values("cases", "random"));

TEST(RankCorrelation, FewerThanTwoValuesAreUndefined) {
  EXPECT_TRUE(std::isnan(spearman({}, {}).r));
  EXPECT_TRUE(std::isnan(spearman({1}, {1}).r));
}

TEST(RankCorrelation, IncreasingMapsChangeNothing) {
  const std::vector<double> a{3, 1, 4, 1, 5, 9, 2, 6}, b{2, 7, 1, 8, 2, 8, 1, 8};
  std::vector<double> mapped;
  for (const double x : a) mapped.push_back(std::exp(x));
  EXPECT_EQ(spearman(a, b).r, spearman(mapped, b).r);
  EXPECT_EQ(spearman(a, b).r, spearman(b, a).r);
}

}  // namespace
