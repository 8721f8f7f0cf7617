// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <mvrm/experiment/suite.h>

namespace {

using namespace mvrm::experiment;

SuiteResult result() {
  const Summary base = summarise({0.5, 0.6}), better = summarise({0.7, 0.8});
  ResultTable table{.title = "Spearman x100", .columns = {"quality", "mean"}, .rows = {}, .scale = 100, .digits = 2};
  table.rows.push_back({.method = "baseline", .values = {base, base}});
  table.rows.push_back({.method = "DDP", .values = {better, better},
                        .gain = Gain{.by_seed = summarise({0.2, 0.2}), .low = 0.1, .high = 0.3, .p_value = 0.02, .verdict = "helps"}});
  const ResultTable second{.title = "one seed", .columns = {"x"}, .rows = {{.method = "m", .values = {summarise({std::numeric_limits<double>::quiet_NaN()})}}}};
  return {.suite = "main", .title = "Balancing", .published = "Table 1.", .tables = {table, second}, .figures = {}, .notes = {"a note"}};
}

TEST(SuiteReport, JsonIsTheContracts) {
  const auto json = to_json(result(), 2);
  EXPECT_EQ(json["suite"], "main");
  EXPECT_EQ(json["seeds"], 2);
  const auto& row = json["rows"][1];
  EXPECT_EQ(row["method"], "DDP");
  EXPECT_DOUBLE_EQ(row["values"]["mean"]["mean"], 0.75);
  EXPECT_NEAR(row["values"]["mean"]["std"], std::sqrt(0.005), 1e-12);
  EXPECT_TRUE(row["values"]["mean"].contains("low") && row["values"]["mean"].contains("high"));
  EXPECT_EQ(row["gain"]["verdict"], "helps");
  EXPECT_DOUBLE_EQ(row["gain"]["bootstrap"]["low"], 0.1);
  EXPECT_FALSE(json["rows"][0].contains("gain"));
  EXPECT_TRUE(json["tables"][0]["rows"][0]["values"]["x"]["mean"].is_null()) << "NaN is null";
}

TEST(SuiteReport, TablesSayMeanDeviationAndBothIntervals) {
  ExperimentConfig config;
  config.render.videos = 10;
  const std::string text = mvrm::report::to_markdown(to_document({result()}, config));
  EXPECT_NE(text.find("| DDP | 75.00 ± 7.07 | 75.00 ± 7.07 | 20.00 | 20.00 to 20.00 | 10.00 to 30.00 | helps |"), std::string::npos) << text;
  EXPECT_NE(text.find("| baseline | 55.00 ± 7.07 | 55.00 ± 7.07 |  |  |  |  |"), std::string::npos);
  EXPECT_NE(text.find("10 rendered training clips"), std::string::npos);
  EXPECT_NE(text.find("a note"), std::string::npos);
}

}  // namespace
