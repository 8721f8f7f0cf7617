// SPDX-License-Identifier: Apache-2.0
// Numbers from SciPy: tests/eval/scipy_values.json, written by scripts/record_scipy_values.py.
#include <gtest/gtest.h>
#include <mvrm/core/files.h>
#include <mvrm/eval/rank_correlation.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

namespace {

using mvrm::eval::average_ranks;
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

TEST(RankCorrelation, AgreesWithSciPy) {
  const auto path = std::filesystem::path(MVRM_SOURCE_DIR) / "tests/eval/scipy_values.json";
  const Json recorded = Json::parse(mvrm::core::read_file(path));
  ASSERT_EQ(recorded.at("cases").size(), 21U);
  for (const auto& entry : recorded.at("cases")) {
    SCOPED_TRACE(entry.at("name").get<std::string>());
    const auto a = numbers(entry.at("a")), b = numbers(entry.at("b"));
    const auto result = spearman(a, b);
    const double r = number(entry.at("r")), p = number(entry.at("p"));
    EXPECT_EQ(std::isnan(result.r), std::isnan(r));
    EXPECT_EQ(std::isnan(result.p_value), std::isnan(p));
    if (!std::isnan(r)) {
      EXPECT_NEAR(result.r, r, 1e-14);
    }
    if (!std::isnan(p)) {
      EXPECT_NEAR(result.p_value, p, 1e-11 * p);
    }
    if (!entry.at("ranks_a").is_null()) {
      EXPECT_EQ(average_ranks(a), numbers(entry.at("ranks_a")));
    }
  }
}

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
