// SPDX-License-Identifier: Apache-2.0
// mvrm data check and mvrm data convert as a user starts them.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/program.h"

namespace {

using mvrm::test::Outcome;
using mvrm::test::Scratch;

Outcome mvrm_(const std::string& arguments, const Scratch& scratch) {
  return mvrm::test::run_program(MVRM_PROGRAM, arguments, scratch.path);
}

std::string quoted(const std::filesystem::path& path) { return "'" + path.string() + "'"; }

TEST(DataCommand, ChecksARenderedSetAndFindsABrokenClip) {
  const Scratch scratch("data_check");
  ASSERT_EQ(mvrm_("synth --out " + quoted(scratch.path / "clips") + " --videos 6 --seed 3", scratch).status, 0);
  const auto file = scratch.path / "clips/train.jsonl";
  const Outcome good = mvrm_("data check " + quoted(file), scratch);
  EXPECT_EQ(good.status, 0) << good.err;
  EXPECT_NE(good.out.find("6 readable rows, 6 clips"), std::string::npos) << good.out;
  EXPECT_NE(good.out.find("0 problems in 0 rows"), std::string::npos) << good.out;
  EXPECT_NE(good.out.find("visual quality"), std::string::npos) << good.out;

  const auto clip = scratch.path / "clips/videos/train-000002.mp4";
  std::filesystem::resize_file(clip, std::filesystem::file_size(clip) / 2);
  const Outcome bad = mvrm_("data check --json " + quoted(file), scratch);
  EXPECT_EQ(bad.status, 3);
  const auto report = nlohmann::json::parse(bad.out);
  ASSERT_EQ(report.at("problems").size(), 1U);
  EXPECT_EQ(report.at("problems")[0].at("line"), 3);
  EXPECT_EQ(report.at("problems")[0].at("id"), "train-000002");
  EXPECT_NE(bad.err.find("mvrm: error: " + file.string() + ": 1 problem in 1 row\n"), std::string::npos) << bad.err;
  EXPECT_EQ(mvrm_("data check --no-media " + quoted(file), scratch).status, 0);
}

TEST(DataCommand, EveryProblemIsALineWithFileRowAndSample) {
  const Scratch scratch("data_rows");
  const auto file = scratch.path / "a.jsonl";
  std::ofstream(file) << R"({"id":"x","video":"x.mp4","prompt":"p","labels":{"q":0,"m":5}})"
                      << "\nnonsense\n";
  const Outcome bad = mvrm_("data check --no-media " + quoted(file), scratch);
  EXPECT_EQ(bad.status, 3);
  EXPECT_NE(bad.out.find(file.string() + ":1: sample 'x': label of 'q' is 0, outside 1.0..4.0\n"), std::string::npos) << bad.out;
  EXPECT_NE(bad.out.find(file.string() + ":1: sample 'x': label of 'm' is 5, outside 1.0..4.0\n"), std::string::npos) << bad.out;
  EXPECT_NE(bad.out.find(file.string() + ":2: is not valid JSON"), std::string::npos) << bad.out;
  EXPECT_EQ(mvrm_("data check --no-media --label-low 0 --label-high 5 " + quoted(file), scratch).out.find("outside"), std::string::npos);
}

TEST(DataCommand, ConvertsAndSaysWhatIsLost) {
  const Scratch scratch("data_convert");
  const auto file = scratch.path / "a.jsonl";
  std::ofstream(file) << R"({"id":"x","images":["x.png"],"prompt":"p","labels":{"visual quality":2.5,"sharpness":1}})"
                      << "\n";
  const auto out = scratch.path / "b.json";
  const Outcome done = mvrm_("data convert " + quoted(file) + " --to videofeedback --out " + quoted(out), scratch);
  EXPECT_EQ(done.status, 0) << done.err;
  EXPECT_EQ(done.out, out.string() +
                          ": 1 row of 1 written as videofeedback\nnot held by videofeedback: labels of 'sharpness', in 1 row\n"
                          "not held by videofeedback: labels that are not whole numbers, in 1 row\n");
  EXPECT_EQ(nlohmann::json::parse(mvrm::test::slurp(out))[0].at("text prompt"), "p");
  EXPECT_EQ(mvrm_("data convert " + quoted(file) + " --to coco --out " + quoted(out), scratch).status, 2);
  EXPECT_EQ(mvrm_("data convert " + quoted(file) + " --to videoscore-train --out " + quoted(out), scratch).status, 3);
  EXPECT_EQ(mvrm_("data polish", scratch).status, 2);
}

}  // namespace
