// SPDX-License-Identifier: Apache-2.0
// mvrm eval as a user runs it: every evaluation over files, and a model's evaluation killed and taken up again.
#include "tests/support/program.h"
#include "tests/support/shared_data.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using mvrm::test::Outcome;
using mvrm::test::Scratch;
using mvrm::test::slurp;

class Eval : public testing::Test {
 protected:
  Scratch scratch{"eval"};
  std::string at(const std::string& name) const { return (scratch.path / name).string(); }
  Outcome run(const std::string& arguments) const { return mvrm::test::run_program(MVRM_PROGRAM, arguments, scratch.path); }
  Json json(const std::string& arguments) const {
    const Outcome outcome = run(arguments + " --json");
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return Json::parse(outcome.out, nullptr, false);
  }
  void write(const std::string& name, const std::string& text) const { std::ofstream(at(name)) << text; }
};

size_t line_count(const std::string& path) {
  const std::string text = slurp(path);
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST_F(Eval, KilledEvaluationGoesOnWhereItWas) {
  ASSERT_EQ(run("synth --out '" + at("clips") + "' --videos 60 --test-videos 1 --seed 5").status, 0);
  write("run.yaml", "run: {dir: '" + at("base") + "', seed: 3}\nmodel: {path: '" MVRM_SOURCE_DIR "/configs/demo/init', init: random}\n" +
                        "data: {train: '" + at("clips/test.jsonl") + "'}\ntrain: {epochs: 1, batch: 1}\n");
  ASSERT_EQ(run("train --config '" + at("run.yaml") + "'").status, 0);
  const std::string base = "--model '" + at("base/model") + "' --data '" + at("clips/train.jsonl") + "' --workers 1 ";
  const Json whole = json("eval spearman " + base + "--out '" + at("whole.jsonl") + "'");
  ASSERT_EQ(line_count(at("whole.jsonl")), 60U);

  const pid_t child = mvrm::test::start_program(MVRM_PROGRAM, "eval spearman " + base + "--out '" + at("killed.jsonl") + "'", at("log"));
  for (int i = 0; i < 4000 && line_count(at("killed.jsonl")) < 8; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  const size_t finished = line_count(at("killed.jsonl"));
  ASSERT_GE(finished, 8U);
  ASSERT_LT(finished, 60U) << "the evaluation was over before it could be killed";
  const Outcome resumed = run("eval spearman " + base + "--json --out '" + at("killed.jsonl") + "'");
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_NE(resumed.err.find(std::to_string(finished) + " samples are scored already"), std::string::npos) << resumed.err;
  EXPECT_NEAR(Json::parse(resumed.out).at("mean").get<double>(), whole.at("mean").get<double>(), 0.02);
  EXPECT_EQ(line_count(at("killed.jsonl")), 60U);

  // A reward that stands in the file is taken from there: nothing is scored again.
  std::string text = slurp(at("killed.jsonl"));
  const auto first = Json::parse(text.substr(0, text.find('\n')));
  auto changed = first;
  changed["scores"].begin().value() = 77;
  write("killed.jsonl", changed.dump() + text.substr(text.find('\n')));
  ASSERT_EQ(run("eval spearman " + base + "--out '" + at("killed.jsonl") + "'").status, 0);
  text = slurp(at("killed.jsonl"));
  EXPECT_EQ(Json::parse(text.substr(0, text.find('\n'))).at("scores").begin().value(), 77);
  // Other frames are another measurement.
  const Outcome other = run("eval spearman " + base + "--sampling linspace --max-frames 2 --out '" + at("killed.jsonl") + "'");
  EXPECT_EQ(other.status, 3) << other.err;
  EXPECT_NE(other.err.find("was not made by this model"), std::string::npos) << other.err;

  // VideoScore's format holds the same, rounded.
  const Json rounded = json("eval spearman " + base + "--format videoscore --out '" + at("eval_video_feedback_mine.json") + "' --spearman-corr '" + at("corr.json") + "'");
  EXPECT_EQ(rounded.at("n"), 60);
  const Json rows = Json::parse(slurp(at("eval_video_feedback_mine.json")));
  EXPECT_EQ(rows.size(), 60U);
  const Json again = json("eval spearman --predictions '" + at("eval_video_feedback_mine.json") + "'");
  EXPECT_NEAR(again.at("mean").get<double>(), rounded.at("mean").get<double>(), 0.05);
  const Json record = Json::parse(slurp(at("corr.json")));
  EXPECT_EQ(record.at(0).at("mine").at("spearman_list").size(), 5U);
}

TEST_F(Eval, SplitReportsThreeParts) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "{\"id\": \"s" + std::to_string(i) + "\", \"labels\": {\"a\": " + std::to_string(1 + i % 4) + "}, \"scores\": {\"a\": " + std::to_string(i % 7 + i % 4) + "}}\n";
  write("p.jsonl", text);
  const Json parts = json("eval spearman --predictions '" + at("p.jsonl") + "' --split-seed 3 --split-out '" + at("split.jsonl") + "'");
  EXPECT_EQ(parts.at("n"), 100);
  EXPECT_EQ(parts.at("validation").at("n"), 40);
  EXPECT_EQ(parts.at("test").at("n"), 60);
  EXPECT_EQ(json("eval spearman --predictions '" + at("p.jsonl") + "' --split-file '" + at("split.jsonl") + "'"), parts);
  std::ofstream(at("split.jsonl"), std::ios::app) << Json{{"id", "s0"}, {"split", "validation"}}.dump() << "\n" << Json{{"id", "s0"}, {"split", "test"}}.dump() << "\n";
  const Outcome leak = run("eval spearman --predictions '" + at("p.jsonl") + "' --split-file '" + at("split.jsonl") + "'");
  EXPECT_EQ(leak.status, 3);
  EXPECT_EQ(run("eval spearman --predictions '" + at("p.jsonl") + "' --fail-under 0.99").status, 8);
  EXPECT_EQ(run("eval spearman --predictions '" + at("p.jsonl") + "' --fail-under 0.01").status, 0);
}

TEST_F(Eval, PairsVerdictsAndComparison) {
  write("p.jsonl", R"({"id": "0_left", "scores": {"a": 3}}
{"id": "0_right", "scores": {"a": 2}}
{"id": "1_left", "scores": {"a": 3}}
{"id": "1_right", "scores": {"a": 2}}
)");
  write("votes.jsonl", "{\"idx\": 0, \"human_vote\": \"leftvote\"}\n{\"idx\": 1, \"human_vote\": \"tievote\"}\n");
  const Json pairs = json("eval genai-bench --predictions '" + at("p.jsonl") + "' --votes '" + at("votes.jsonl") + "'");
  EXPECT_EQ(pairs.at("pairs"), 2);
  EXPECT_EQ(pairs.at("accuracy"), 0.5);
  EXPECT_EQ(pairs.at("dimensions").at("a"), 0.5);
  EXPECT_EQ(run("eval genai-bench --predictions '" + at("p.jsonl") + "' --votes '" + at("votes.jsonl") + "' --fail-under 0.6").status, 8);
  EXPECT_EQ(json("eval genai-bench --random-baseline 42 --votes '" + at("votes.jsonl") + "'").at("pairs"), 2);
  write("answers.jsonl", "{\"idx\": 0, \"human_vote\": \"leftvote\", \"response\": \"[[A>B]]\"}\n{\"idx\": 1, \"human_vote\": \"tievote\", \"response\": \"none\"}\n");
  const Json verdicts = json("eval verdicts --answers '" + at("answers.jsonl") + "'");
  EXPECT_EQ(verdicts.at("n"), 2);
  EXPECT_EQ(verdicts.at("correct"), 1);
  EXPECT_EQ(verdicts.at("accuracy"), 0.5);
  write("v.jsonl", "{\"id\": \"motion_smoothness_0_x\", \"scores\": {\"a\": 3}}\n{\"id\": \"motion_smoothness_0_y\", \"scores\": {\"a\": 1}}\n");
  write("preferences.jsonl", "{\"id\": \"motion_smoothness_0_x\", \"preference\": {\"y\": 1}}\n{\"id\": \"motion_smoothness_0_y\", \"preference\": {\"x\": 0}}\n");
  const Json vbench = json("eval vbench --predictions '" + at("v.jsonl") + "' --preferences '" + at("preferences.jsonl") + "'");
  EXPECT_EQ(vbench.at("pairs"), 2);
  EXPECT_EQ(vbench.at("accuracy"), 1);
  EXPECT_EQ(json("eval compare '" + at("p.jsonl") + "' '" + at("p.jsonl") + "' --votes '" + at("votes.jsonl") + "'").at("mean").at("difference"), 0);
  for (const char* what : {"genai-bench", "vbench", "verdicts", "compare", "videofeedback"}) {
    const Outcome help = run(std::string("eval ") + what + " --help");
    EXPECT_EQ(help.status, 0) << what;
    EXPECT_NE(help.out.find("Example: mvrm eval "), std::string::npos) << help.out;
  }
  EXPECT_EQ(run("eval genai-bench --votes '" + at("votes.jsonl") + "'").status, 2);
  EXPECT_EQ(run("eval pairs").status, 2);
}

TEST_F(Eval, PublishedFilesThroughTheCommands) {
  const fs::path data = mvrm::test::shared_data();
  if (!fs::exists(data / "genai_bench") || !fs::exists(data / "videoscore_results")) GTEST_SKIP() << "no published files below " << data;
  const std::string votes = "'" + (data / "genai_bench/video_generation/llava.json").string() + "'";
  EXPECT_EQ(json("eval verdicts --answers " + votes).at("correct"), 325);
  const Json random = json("eval genai-bench --random-baseline 42 --votes " + votes);
  EXPECT_EQ(random.at("pairs"), 1069);
  EXPECT_NEAR(random.at("accuracy").get<double>(), 0.377, 5e-5);
  const Outcome table = run("eval videofeedback --predictions '" + (data / "videoscore_results/eval_video_feedback_videoscore.json").string() + "'");
  for (const char* published : {"78.7802", "65.5364", "39.6780", "37.0003", "66.3278"}) EXPECT_NE(table.out.find(published), std::string::npos) << published;
}

// 120 ordered pairs of the published VBench file. The votes of people are not published: those made here prefer the higher mean and call
// equal means a tie, so the right accuracy is 1.
TEST_F(Eval, OrderedPairsOfThePublishedVbenchFile) {
  const fs::path file = mvrm::test::shared_data() / "videoscore_results/eval_vbench_videoscore.json";
  if (!fs::exists(file)) GTEST_SKIP() << "no published file " << file;
  std::map<std::string, std::map<std::string, double>> prompts;
  for (const auto& row : Json::parse(slurp(file))) {
    const std::string id = row.at("id");
    double sum = 0;
    for (const double x : Json::parse(row.at("ans").get<std::string>())) sum += x;
    prompts[id.substr(0, id.rfind('_'))][id.substr(id.rfind('_') + 1)] = sum / 5;
  }
  std::string text;
  for (const auto& [prompt, means] : prompts) {
    for (const auto& [model, mean] : means) {
      Json over = Json::object();
      for (const auto& [other, other_mean] : means) over[other] = other == model ? Json() : Json(mean > other_mean ? 1 : mean < other_mean ? 0 : 0.5);
      text += Json{{"id", prompt + "_" + model}, {"preference", over}}.dump() + "\n";
    }
  }
  write("preferences.jsonl", text);
  const std::string arguments = "eval vbench --predictions '" + file.string() + "' --preferences '" + at("preferences.jsonl") + "'";
  const Json right = json(arguments), compatible = json(arguments + " --videoscore-compatible");
  EXPECT_EQ(right.at("pairs"), 120);
  EXPECT_EQ(right.at("accuracy"), 1);
  EXPECT_EQ(right.at("dimensions"), compatible.at("dimensions"));  // every mean is right, so the published counting misses nothing
}

}  // namespace
