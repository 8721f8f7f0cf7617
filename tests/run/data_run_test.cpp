// SPDX-License-Identifier: Apache-2.0
// What the reports of mvrm data say.
#include <gtest/gtest.h>
#include <mvrm/run/data_run.h>

#include <nlohmann/json.hpp>

namespace {

using mvrm::data::CheckReport;

CheckReport report_of(std::map<double, int64_t> labels) {
  CheckReport report{.path = "a.jsonl"};
  report.samples = 3;
  report.clips = 2;
  report.frame_lists = 1;
  report.dimensions = {"quality"};
  report.label_counts_K = {std::move(labels)};
  report.unlabelled_K = {1};
  report.media_checked = true;
  report.problems = {
      {.line = 2, .id = "x", .cause = "first"}, {.line = 2, .id = "x", .cause = "second"}, {.line = 7, .id = "", .cause = "third"}};
  return report;
}

TEST(DataReport, CountsLabelsAndListsProblems) {
  const CheckReport report = report_of({{2.5, 1}, {3, 4}});
  EXPECT_EQ(mvrm::run::check_verdict(report), "a.jsonl: 3 problems in 2 rows");
  EXPECT_EQ(mvrm::run::check_text(report),
            "a.jsonl: 3 readable rows, 2 clips, 1 list of frames; 3 problems in 2 rows\n\n"
            "labels   2.5  3  none\n---------------------\nquality    1  4     1\n\n"
            "a.jsonl:2: sample 'x': first\na.jsonl:2: sample 'x': second\na.jsonl:7: third\n");
}

TEST(DataReport, ManyLabelsBecomeARange) {
  std::map<double, int64_t> labels;
  for (int i = 0; i < 20; ++i) labels[i / 16.0] = 2;
  EXPECT_NE(mvrm::run::check_text(report_of(labels)).find("labels   labelled  lowest  highest  none\n"), std::string::npos)
      << mvrm::run::check_text(report_of(labels));
  EXPECT_NE(mvrm::run::check_text(report_of(labels)).find("quality        40       0   1.1875     1\n"), std::string::npos);
}

TEST(DataReport, ALongHistogramShowsTheMostFrequent) {
  CheckReport report = report_of({{3, 4}});
  for (int64_t frames = 1; frames <= 30; ++frames) report.frame_counts[frames] = frames;
  report.sizes[{480, 640}] = 465;
  const std::string text = mvrm::run::check_text(report);
  EXPECT_NE(text.find("\n30              30\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("\n18  "), std::string::npos) << text;
  EXPECT_NE(text.find("\n18 others      171\n"), std::string::npos) << text;  // 1 + … + 18
  EXPECT_NE(text.find("480x640"), std::string::npos) << text;
}

TEST(DataReport, JsonHasTheSameNumbers) {
  CheckReport report = report_of({{2.5, 1}, {3, 4}});
  report.frame_counts[16] = 3;
  report.sizes[{480, 640}] = 3;
  const auto document = nlohmann::json::parse(mvrm::run::check_json(report));
  EXPECT_EQ(document.at("bad_rows"), 2);
  EXPECT_EQ(document.at("dimensions").at("quality").at("labels").at("2.5"), 1);
  EXPECT_EQ(document.at("dimensions").at("quality").at("unlabelled"), 1);
  EXPECT_EQ(document.at("frames").at("16"), 3);
  EXPECT_EQ(document.at("sizes").at("480x640"), 3);
  EXPECT_EQ(document.at("problems").size(), 3U);
  EXPECT_EQ(document.at("problems")[2].at("line"), 7);
}

TEST(DataReport, ConversionSaysWhatIsNotHeld) {
  const mvrm::data::ConvertReport report{.rows_read = 3, .rows_written = 2, .losses = {{"'note'", 1}}};
  EXPECT_EQ(mvrm::run::convert_text(report, "videofeedback", "b.json"),
            "b.json: 2 rows of 3 written as videofeedback\nnot held by videofeedback: 'note', in 1 row\n");
  EXPECT_EQ(nlohmann::json::parse(mvrm::run::convert_json(report, "videofeedback", "b.json")).at("losses").at("'note'"), 1);
}

}  // namespace
