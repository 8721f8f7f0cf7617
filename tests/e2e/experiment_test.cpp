// SPDX-License-Identifier: Apache-2.0
// `mvrm experiment` as a user types it: every suite on files in VideoFeedback's layout, a killed one that goes on, mistakes.
#include "tests/support/program_suite.h"

#include <chrono>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

namespace {

namespace fs = std::filesystem;
using mvrm::test::Outcome;
using mvrm::test::slurp;
using Json = nlohmann::ordered_json;

class Experiment : public mvrm::test::ProgramSuite<Experiment> {
 protected:
  static void SetUpTestSuite() {
    open("experiment");
    ASSERT_EQ(run("synth --out '" + at("clips") + "' --videos 24 --test-videos 16 --noise 0.1 --seed 7").status, 0);
    for (const std::string split : {"train", "test"}) {
      const Outcome converted = run("data convert '" + at("clips/" + split + ".jsonl") + "' --to videofeedback --out '" + at("clips/vf_" + split + ".json") + "'");
      ASSERT_EQ(converted.status, 0) << converted.err;
    }
    // As small as runs can be: two steps each.
    std::ofstream(at("own.yaml")) << "experiment: {seeds: 2, alpha: 10, alphas: [5, 10], taus: [1, 2], resamples: 100}\n"
                                  << "model: {path: '" MVRM_SOURCE_DIR "/configs/demo/base'}\n"
                                  << "data: {train: '" << at("clips/vf_train.json") << "', test: '" << at("clips/vf_test.json") << "'}\n"
                                  << "train: {epochs: 1, batch: 8, micro_batch: 8, max_steps: 2}\noptimizer: {lr: 1.0e-3}\ncheckpoint: {every: 1, keep: 1}\n";
  }
  static Outcome own(const std::string& arguments) { return run("experiment " + arguments + " --config '" + at("own.yaml") + "'"); }
  // Every table of an experiment by file name.
  static std::map<std::string, std::string> tables(const std::string& out) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(at(out)))
      if (entry.is_regular_file()) files[entry.path().filename()] = slurp(entry.path());
    return files;
  }
};

TEST_F(Experiment, FilesInVideoFeedbacksLayoutRunThroughEverySuite) {
  const Json first = Json::parse(slurp(at("clips/vf_train.json")))[1];
  std::ofstream(at("corrections.jsonl")) << Json{{"id", first["id"]}, {"dimension", "text-to-video alignment"}, {"old", first["text-to-video alignment"]}, {"new", 2}, {"by", "me"}, {"at", ""}} << "\n";
  std::ofstream pairs(at("clips/pairs.jsonl")), votes(at("clips/votes.jsonl"));
  for (int p = 0; p < 4; ++p) {
    for (const char* side : {"left", "right"}) {
      pairs << Json{{"id", std::to_string(p) + "_" + side}, {"video", "videos/test-00000" + std::to_string(2 * p + (side[0] == 'l' ? 0 : 1)) + ".mp4"}, {"prompt", "a ball"}} << "\n";
    }
    votes << Json{{"idx", p}, {"human_vote", p % 2 == 0 ? "leftvote" : "rightvote"}} << "\n";
  }
  pairs.close();
  votes.close();
  const Outcome outcome = own("all --seeds 1 --out '" + at("own") + "' --set data.pairs='" + at("clips/pairs.jsonl") + "' --set data.votes='" + at("clips/votes.jsonl") +
                              "' --set experiment.corrections='" + at("corrections.jsonl") + "' --set backbone.model='" MVRM_SOURCE_DIR "/configs/demo/base'");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.err.find("is left out"), std::string::npos) << outcome.err;
  const auto files = tables("own");
  for (const char* suite : {"main", "row-sum", "genai-bench", "correction", "backbone", "tau", "seeds", "alpha", "overlap", "noise", "scatter", "combine", "frames"}) {
    ASSERT_TRUE(files.contains(std::string(suite) + ".json")) << suite;
    const Json document = Json::parse(files.at(std::string(suite) + ".json"));
    EXPECT_EQ(document["suite"], suite);
    EXPECT_EQ(document["seeds"], 1);
    ASSERT_FALSE(document["rows"].empty()) << suite;
    for (const auto& row : document["rows"]) {
      EXPECT_EQ(row["values"].size(), document["columns"].size()) << suite;
      EXPECT_TRUE(row["values"].begin()->contains("mean"));
    }
    EXPECT_NE(files.at("report.html").find("(" + std::string(suite) + ")</h2>"), std::string::npos) << suite;
  }
  EXPECT_EQ(Json::parse(files.at("main.json"))["rows"].size(), 13U) << "no row for labels that nobody knows";
  EXPECT_TRUE(fs::exists(at("own/planted/seed-42/truth.jsonl"))) << "noise is planted where no truth is known";
  for (const char* figure : {"alpha.svg", "tau.svg", "scatter.svg", "frames.svg"}) EXPECT_TRUE(files.contains(figure)) << figure;
}

TEST_F(Experiment, AKilledOneGoesOnAndTheTablesAreTheSameBytes) {
  const std::string suite = "row-sum --seeds 1 --jobs 1 --out '";
  const Outcome whole = own(suite + at("whole") + "'");
  ASSERT_EQ(whole.status, 0) << whole.err;
  // A kill at five moments, spread over the time of a run.
  const std::string command = "experiment row-sum --seeds 1 --jobs 2 --config '" + at("own.yaml") + "' --out '" + at("killed") + "'";
  for (const int milliseconds : {700, 1100, 1500, 1900, 2300}) {
    const pid_t child = mvrm::test::start_program(MVRM_PROGRAM, command, at("log"));
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
  }
  const Outcome resumed = run(command);
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_EQ(tables("killed"), tables("whole"));
  const Outcome again = run(command + " --json");
  EXPECT_EQ(Json::parse(again.out)[0]["rows"].size(), 5U);
  EXPECT_EQ(tables("killed"), tables("whole"));
}

TEST_F(Experiment, MistakesAreOneLine) {
  const Outcome unknown = own("tables --out '" + at("x") + "'");
  EXPECT_EQ(unknown.status, 2);
  EXPECT_NE(unknown.err.find("known: main, row-sum"), std::string::npos) << unknown.err;
  const Outcome pairs = own("genai-bench --out '" + at("x") + "'");
  EXPECT_EQ(pairs.status, 2);
  EXPECT_NE(pairs.err.find("data.pairs and data.votes"), std::string::npos) << pairs.err;
  const Outcome labels = own("correction --out '" + at("x") + "'");
  EXPECT_EQ(labels.status, 2);
  EXPECT_NE(labels.err.find("experiment.corrections"), std::string::npos) << labels.err;
  const Outcome lost = own("tau --out '" + at("x") + "' --set data.train=gone.jsonl");
  EXPECT_NE(lost.status, 0);
  EXPECT_NE(lost.err.find("gone.jsonl"), std::string::npos) << lost.err;
  const Outcome model = own("tau --out '" + at("x") + "' --set model.path=nowhere");
  EXPECT_EQ(model.status, 4);
  EXPECT_NE(model.err.find("nowhere"), std::string::npos) << model.err;
  EXPECT_EQ(run("experiment").status, 2);
  EXPECT_EQ(run("experiment --help").status, 0);
}

TEST_F(Experiment, SeveralRanksGiveTheSameTables) {
  const Outcome one = own("combine --seeds 1 --jobs 1 --out '" + at("one") + "'");
  ASSERT_EQ(one.status, 0) << one.err;
  const Outcome two = own("combine --seeds 1 --nproc-per-node 2 --out '" + at("two") + "'");
  ASSERT_EQ(two.status, 0) << two.err;
  EXPECT_EQ(tables("one"), tables("two"));
}

}  // namespace
