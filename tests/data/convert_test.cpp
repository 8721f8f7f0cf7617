// SPDX-License-Identifier: Apache-2.0
// Data files in other layouts: what comes back is what went in, and what can't be held is said.
#include <mvrm/core/files.h>
#include <mvrm/data/convert.h>
#include <mvrm/text/prompt.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/data/data_files.h"
#include "tests/support/program.h"

namespace {

namespace fs = std::filesystem;
using mvrm::data::convert_data;
using mvrm::data::ConvertReport;
using mvrm::data::load_manifest;
using mvrm::data::Manifest;
using mvrm::test::message_of;
using mvrm::test::put;
using mvrm::test::Scratch;
using Json = nlohmann::ordered_json;
using Losses = std::map<std::string, int64_t>;

const char* const kFive =
    R"({"visual quality":3,"temporal consistency":1,"dynamic degree":4,"text-to-video alignment":2,"factual consistency":1})";

std::string caption_row(const std::string& id, const std::string& labels, const std::string& more = "") {
  return R"({"id":")" + id + R"(","images":[")" + id + R"(_00.jpg"],"prompt":"a dog","labels":)" + labels + more + "}\n";
}

void expect_equal(const Manifest& a, const Manifest& b) {
  EXPECT_EQ(a.dimensions, b.dimensions);
  ASSERT_EQ(a.samples.size(), b.samples.size());
  for (size_t n = 0; n < a.samples.size(); ++n) {
    EXPECT_EQ(a.samples[n].id, b.samples[n].id);
    EXPECT_EQ(a.samples[n].prompt, b.samples[n].prompt);
    EXPECT_EQ(a.samples[n].prompt_is_complete, b.samples[n].prompt_is_complete);
    EXPECT_EQ(a.samples[n].video, b.samples[n].video);
    EXPECT_EQ(a.samples[n].images, b.samples[n].images);
    ASSERT_EQ(a.samples[n].label_K.size(), b.samples[n].label_K.size());
    for (size_t k = 0; k < a.samples[n].label_K.size(); ++k) {
      const float x = a.samples[n].label_K[k], y = b.samples[n].label_K[k];
      EXPECT_TRUE(x == y || (std::isnan(x) && std::isnan(y))) << x << " and " << y;
    }
    ASSERT_EQ(a.samples[n].preferences.size(), b.samples[n].preferences.size());
    for (size_t p = 0; p < a.samples[n].preferences.size(); ++p)
      EXPECT_EQ(a.samples[n].preferences[p].value, b.samples[n].preferences[p].value);
  }
}

TEST(Convert, OwnRowsSurviveVideoFeedbackAndBack) {
  const Scratch scratch("convert1");
  const auto own =
      put(scratch.path / "own.jsonl", caption_row("a", kFive) + caption_row("b", R"({"visual quality":null,"dynamic degree":2})"));
  const ConvertReport there = convert_data({own}, "videofeedback", scratch.path / "feedback.json");
  EXPECT_EQ(there.rows_written, 2);
  EXPECT_EQ(there.losses, Losses{});
  const Json rows = Json::parse(mvrm::core::read_file(scratch.path / "feedback.json"));
  EXPECT_EQ(rows[0]["text prompt"], "a dog");
  EXPECT_EQ(rows[0]["dynamic degree"], 4);
  EXPECT_EQ(rows[0]["conversations"][0]["value"], mvrm::text::fill(mvrm::text::videoscore_template(), "a dog"));
  EXPECT_EQ(rows[0]["conversations"][1]["value"],
            "visual quality: 3\ntemporal consistency: 1\ndynamic degree: 4\ntext-to-video alignment: 2\nfactual consistency: 1");
  EXPECT_EQ(convert_data({scratch.path / "feedback.json"}, "mvrm", scratch.path / "back.jsonl").losses, Losses{});
  expect_equal(load_manifest(own), load_manifest(scratch.path / "back.jsonl"));
}

TEST(Convert, WritesVideoScoresTrainingFile) {
  const Scratch scratch("convert2");
  put(scratch.path / "images/a/a_00.jpg", "x");
  const auto annotated = put(scratch.path / "annotated.jsonl", caption_row("a", kFive));
  const auto real = put(scratch.path / "real.jsonl", caption_row("r", kFive, R"(,"source":"web")"));
  const ConvertReport report = convert_data({annotated, real}, "videoscore-train", scratch.path / "train_regression.json");
  EXPECT_EQ(report.losses, (Losses{{"'source'", 1}}));
  const std::string text = mvrm::core::read_file(scratch.path / "train_regression.json");
  EXPECT_EQ(text.rfind("[\n    {\n        \"id\": \"a\",\n        \"images\": [\n            \"images/a/a_00.jpg\"\n        ],\n", 0), 0U)
      << text;
  EXPECT_NE(text.find("\"dynamic degree\": 4.0,"), std::string::npos) << text;
  const Json rows = Json::parse(text);
  EXPECT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[1]["id"], "r");  // in the order of the files
  EXPECT_EQ(rows[1]["prompt"], mvrm::text::fill(mvrm::text::videoscore_template(), "a dog"));
  std::vector<std::string> keys;
  for (const auto& [key, value] : rows[0].items()) keys.push_back(key);
  EXPECT_EQ(keys, (std::vector<std::string>{"id", "images", "prompt", "labels"}));
}

TEST(Convert, SaysWhatTheTrainingFileCanNotHold) {
  const Scratch scratch("convert3");
  const auto own = put(scratch.path / "own.jsonl", caption_row("a", kFive) + caption_row("b", R"({"visual quality":2})") +
                                                       R"({"id":"c","video":"c.mp4","prompt":"p","labels":)" + kFive + "}\n");
  const ConvertReport report = convert_data({own}, "videoscore-train", scratch.path / "t.json");
  EXPECT_EQ(report.rows_read, 3);
  EXPECT_EQ(report.rows_written, 1);
  EXPECT_EQ(report.losses, (Losses{{"rows whose media is a clip (the training file lists frames)", 1},
                                   {"rows without all of the five labels (VideoScore's loader goes out of step there)", 1}}));
}

TEST(Convert, SaysWhatVideoFeedbackCanNotHold) {
  const Scratch scratch("convert4");
  const auto own =
      put(scratch.path / "own.jsonl", R"({"id":"c","video":"clips/c.mp4","prompt":"p","labels":{"visual quality":2.5,"colour":3}})"
                                      "\n");
  const ConvertReport report = convert_data({own}, "videofeedback", scratch.path / "f.jsonl");
  EXPECT_EQ(report.losses, (Losses{{"labels of 'colour'", 1}, {"labels that are not whole numbers", 1}}));
  const Json row = Json::parse(mvrm::core::read_file(scratch.path / "f.jsonl"));
  EXPECT_EQ(row["video link"], "clips/c.mp4");
  EXPECT_TRUE(row["images"].empty());
  EXPECT_EQ(load_manifest(scratch.path / "f.jsonl").samples[0].video, scratch.path / "clips/c.mp4");  // and is read again
}

TEST(Convert, ParquetBecomesJsonLinesWithTheSameRows) {
  if (!mvrm::data::reads_parquet()) GTEST_SKIP() << "this build has no Parquet (MVRM_PARQUET)";
  const Scratch scratch("convert5");
  for (const char* name : {"annotated_train", "bench_eval_crafter", "bench_genaibench", "bench_vbench", "genai_bench", "own_rows"}) {
    const auto copy = scratch.path / (std::string(name) + ".parquet");
    fs::copy_file(fs::path(MVRM_SOURCE_DIR) / "tests/data/parquet" / copy.filename(), copy);
    for (const auto& [layout, out] : {std::pair{"jsonl", "out.jsonl"}, {"json", "out.json"}, {"mvrm", "own.jsonl"}, {"mvrm", "own.json"}}) {
      EXPECT_EQ(convert_data({copy}, layout, scratch.path / out).losses, Losses{}) << name;
      expect_equal(load_manifest(copy), load_manifest(scratch.path / out));
    }
  }
  EXPECT_NE(mvrm::core::read_file(scratch.path / "out.json").find("\n    {\n"), std::string::npos);
}

TEST(Convert, BenchmarkRowsKeepTheirScaleAndPreferences) {
  const Scratch scratch("convert6");
  const auto bench = put(
      scratch.path / "test.jsonl",
      R"({"id":"pika_0000","images":["a.jpg"],"score_list":[0.533,0.8,-1.0,0.267,-1.0],"preference":{"lavie":0.5,"pika":null},)"
      R"("conversations":[{"from":"human","value":"For this video, the text prompt is \"a cat\",\nall the frames of video are as follows: \n"}]})");
  for (const char* layout : {"mvrm", "videofeedback"}) {
    EXPECT_EQ(convert_data({bench}, layout, scratch.path / "out.jsonl").losses, Losses{});
    expect_equal(load_manifest(bench), load_manifest(scratch.path / "out.jsonl"));
  }
  EXPECT_EQ(Json::parse(mvrm::core::read_file(scratch.path / "out.jsonl"))["text prompt"], "a cat");
}

TEST(Convert, PathsFollowTheFileToAnotherFolder) {
  const Scratch scratch("convert7");
  put(scratch.path / "data/images/a/a_00.jpg", "x");
  const auto own = put(scratch.path / "data/own.jsonl", caption_row("a", kFive));
  for (const char* layout : {"mvrm", "jsonl"}) {
    convert_data({own}, layout, scratch.path / "up.jsonl");
    EXPECT_EQ(Json::parse(mvrm::core::read_file(scratch.path / "up.jsonl"))["images"][0], "data/images/a/a_00.jpg");
    fs::create_directories(scratch.path / "elsewhere");
    convert_data({own}, layout, scratch.path / "elsewhere/a.jsonl");
    EXPECT_EQ(Json::parse(mvrm::core::read_file(scratch.path / "elsewhere/a.jsonl"))["images"][0],
              (scratch.path / "data/images/a/a_00.jpg").string());
  }
}

TEST(Convert, MistakesWriteNothing) {
  const Scratch scratch("convert8");
  const auto own = put(scratch.path / "own.jsonl", caption_row("a", kFive)),
             same = put(scratch.path / "same.jsonl", caption_row("a", kFive));
  const auto bad = put(scratch.path / "bad.jsonl", caption_row("b", R"({"visual quality":9})"));
  const auto clip = put(scratch.path / "clip.jsonl", R"({"id":"c","video":"c.mp4","prompt":"p"})");
  const auto out = scratch.path / "out.jsonl";
  EXPECT_EQ(message_of([&] {
              convert_data({own, same}, "mvrm", out);
            }),
            same.string() + ":1: sample 'a': duplicate id; first in " + own.string());
  EXPECT_EQ(message_of([&] {
              convert_data({own, bad}, "mvrm", out);
            }),
            bad.string() + ":1: sample 'b': label of 'visual quality' is 9, outside 1.0..4.0");
  EXPECT_NE(message_of([&] { convert_data({clip}, "videoscore-train", out); }).find("can hold none of its rows"), std::string::npos);
  EXPECT_THROW(convert_data({own}, "coco", out), mvrm::core::ConfigError);
  EXPECT_THROW(convert_data({own}, "json", out), mvrm::core::ConfigError);
  EXPECT_THROW(convert_data({own}, "mvrm", scratch.path / "out.parquet"), mvrm::core::ConfigError);
  EXPECT_FALSE(fs::exists(out));
}

}  // namespace
