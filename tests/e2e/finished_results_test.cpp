// SPDX-License-Identifier: Apache-2.0
// What is finished stays: no command writes over another run, profile, plan or its own input, and a refused start changes nothing. What can't
// be done is refused before the work.
#include "tests/support/program_suite.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>

namespace {

namespace fs = std::filesystem;
using mvrm::test::Outcome;
using mvrm::test::slurp;

class FinishedResults : public mvrm::test::ProgramSuite<FinishedResults> {
 protected:
  static void SetUpTestSuite() {
    open("finished_results");
    ASSERT_EQ(run("synth --out '" + at("clips") + "' --videos 12 --test-videos 6 --seed 7").status, 0);
    std::ofstream(at("run.yaml")) << "run: {dir: '" << at("base") << "', seed: 3}\nmodel: {path: '" MVRM_SOURCE_DIR "/configs/demo/init', init: random}\n"
                                  << "data: {train: '" << at("clips/train.jsonl") << "'}\ntrain: {epochs: 1, batch: 4}\n";
    const Outcome trained = run(train());
    ASSERT_EQ(trained.status, 0) << trained.err;
    const Outcome profiled = run(profile("profile"));
    ASSERT_EQ(profiled.status, 0) << profiled.err;
  }
  static std::string train(const std::string& more = "") { return "train --quiet --config '" + at("run.yaml") + "' " + more; }
  static std::string profile(const std::string& out, const std::string& more = "", const std::string& data = "clips/train.jsonl") {
    return "profile --quiet --model '" + at("base/model") + "' --data '" + at(data) + "' --out '" + at(out) + "' " + more;
  }
  static void expect_refused(const std::string& arguments, int status, const std::string& part) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, status) << arguments << "\n" << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << "no '" << part << "' in: " << outcome.err;
  }
  // Every file of a run directory but its log.
  static std::map<std::string, std::string> files_of(const std::string& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(at(folder)))
      if (entry.is_regular_file() && entry.path().filename() != "log.txt" && entry.path().filename() != ".lock") files[entry.path().string()] = slurp(entry.path());
    return files;
  }
};

TEST_F(FinishedResults, ARunOfOtherInputsIsKept) {
  const auto before = files_of("base");
  ASSERT_FALSE(before.at(at("base/model/model.safetensors")).empty());
  expect_refused(train("--set optimizer.lr=1e-4"), 2, "holds a finished run of other inputs");
  expect_refused(train("--set data.train='" + at("clips/test.jsonl") + "'"), 2, "holds a finished run of other inputs");
  expect_refused(train("--set data.train=nope.jsonl"), 3, "nope.jsonl: data file not found");
  expect_refused(train("--set data.train='" + at("clips") + "'"), 3, "is a folder");
  expect_refused(train("--set model.path=nope"), 4, "nope: no model directory there");
  expect_refused(train("--set model.path='" + at("base/model") + "'"), 2, "is where this run writes its own model");
  EXPECT_TRUE(files_of("base") == before);
  EXPECT_EQ(run(train()).status, 0) << "the same inputs again: nothing to do";
  EXPECT_TRUE(files_of("base") == before);
}

TEST_F(FinishedResults, ARunIsReplacedWhenThatIsAskedFor) {
  const std::string other = " --set run.dir='" + at("replaced") + "'";
  ASSERT_EQ(run(train(other)).status, 0);
  const std::string before = slurp(at("replaced/model/model.safetensors"));
  const Outcome again = run(train(other + " --set optimizer.lr=1e-3 --resume never"));
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_NE(slurp(at("replaced/model/model.safetensors")), before);
  EXPECT_NE(slurp(at("replaced/config.yaml")).find("lr: 0.001"), std::string::npos) << slurp(at("replaced/config.yaml"));
}

// What can't change the model: the run is not trained again, and not refused.
TEST_F(FinishedResults, SettingsBesideTheTrainingMayChange) {
  const std::string model = slurp(at("base/model/model.safetensors"));
  const Outcome measured = run(train("--set data.test='" + at("clips/test.jsonl") + "' --set data.batch=2 --set data.workers=1 --set checkpoint.every=7"));
  EXPECT_EQ(measured.status, 0) << measured.err;
  EXPECT_TRUE(fs::exists(at("base/eval.json")));
  EXPECT_NE(slurp(at("base/config.yaml")).find("clips/test.jsonl"), std::string::npos) << "the configuration is the one that was measured";
  EXPECT_TRUE(slurp(at("base/model/model.safetensors")) == model);
}

// The baseline and its profile below a finished run are kept as the run itself.
TEST_F(FinishedResults, WhatLiesBelowAFinishedRunIsKept) {
  const std::string pruned = "--set run.dir='" + at("pruned") + "' --set refine.alpha=20 --set refine.strategy=";
  ASSERT_EQ(run(train(pruned + "ddp")).status, 0);
  const auto before = files_of("pruned");
  expect_refused(train(pruned + "row_sum_ddp"), 2, "holds a finished profile");
  expect_refused(train(pruned + "ddp --set optimizer.lr=1e-4"), 2, "holds a finished run of other inputs");
  EXPECT_TRUE(files_of("pruned") == before);
}

TEST_F(FinishedResults, APlanIsForTheDataThatItWasMadeFrom) {
  ASSERT_EQ(run("refine --profile '" + at("profile") + "' --strategy ddp --alpha 20 --out '" + at("ddp.jsonl") + "'").status, 0);
  const std::string rows = slurp(at("clips/train.jsonl")), planned = "--set run.dir='" + at("planned") + "' --set refine.plan='" + at("ddp.jsonl") + "' --set data.train=";
  std::ofstream(at("clips/relabelled.jsonl")) << rows << "\n";   // another file, whatever the difference
  expect_refused(train(planned + "'" + at("clips/relabelled.jsonl") + "'"), 3, "ddp.jsonl: was made for another data file than");
  const Outcome fits = run(train(planned + "'" + at("clips/train.jsonl") + "'"));
  EXPECT_EQ(fits.status, 0) << fits.err;
}

// Who looks in the morning finds why it ended.
TEST_F(FinishedResults, TheLogHoldsTheErrorThatEndedARun) {
  std::ofstream(at("clips/gone.jsonl")) << R"({"id": "a", "video": "videos/gone.mp4", "prompt": "a red square", "labels": {"visual quality": 3}})" << "\n";
  expect_refused(train("--set run.dir='" + at("ended") + "' --set data.train='" + at("clips/gone.jsonl") + "'"), 3, "gone.mp4");
  const std::string log = slurp(at("ended/log.txt"));
  EXPECT_NE(log.find(" [error] sample 'a': "), std::string::npos) << log;
  EXPECT_EQ(log.find("[error]"), log.rfind("[error]")) << log;
}

TEST_F(FinishedResults, AProfileOfOtherInputsIsKept) {
  const auto before = files_of("profile");
  expect_refused(profile("profile", "", "clips/test.jsonl"), 2, "holds a finished profile of another model, data file");
  expect_refused(profile("profile", "--features"), 2, "holds a finished profile");
  EXPECT_TRUE(files_of("profile") == before);
  EXPECT_EQ(run(profile("profile")).status, 0);
}

TEST_F(FinishedResults, FilesOfAnotherKindAreKept) {
  const std::string rows = slurp(at("clips/train.jsonl"));
  const std::string refine = "refine --profile '" + at("profile") + "' --strategy ddr --out ";
  expect_refused(refine + "'" + at("clips/train.jsonl") + "'", 2, "is there already and is no plan");
  EXPECT_EQ(run(refine + "'" + at("plan.jsonl") + "'").status, 0);
  EXPECT_EQ(run(refine + "'" + at("plan.jsonl") + "'").status, 0) << "a plan may be made again";
  const std::string score = "score --model '" + at("base/model") + "' --data '" + at("clips/train.jsonl") + "' --out ";
  expect_refused(score + "'" + at("clips/train.jsonl") + "'", 2, "is what is read");
  expect_refused(score + "'" + at("nowhere/rewards.jsonl") + "'", 5, "there is no folder");
  fs::create_directory(at("mine"));
  std::ofstream(at("mine/train.jsonl")) << "mine\n";
  expect_refused("synth --out '" + at("mine") + "' --videos 4", 5, "is there already, of another origin");
  EXPECT_EQ(slurp(at("mine/train.jsonl")), "mine\n");
  EXPECT_EQ(slurp(at("clips/train.jsonl")), rows);
}

TEST_F(FinishedResults, WhatCantBeDoneIsRefusedBeforeTheWork) {
  for (const auto& [estimator, part] : std::map<std::string, std::string>{{"foo", "unknown estimator 'foo'"}, {"tracin", "give --checkpoint"}, {"ridge_loo", "add --features"},
                                                                         {"row_sum", "add --space"}, {"online_relative", "train.collect_influence"}}) {
    expect_refused(profile("refused", "--estimator " + estimator), 2, part);
    EXPECT_FALSE(fs::exists(at("refused/profile.safetensors"))) << estimator;
  }
  const std::string refine = "refine --profile '" + at("profile") + "' ";
  expect_refused(refine + "--list-suspects 3 --strategy ddp --out '" + at("o.jsonl") + "'", 2, "write no plan");
  expect_refused(refine + "--list-suspects 0", 2, "'0' must be greater than 0");
  expect_refused("synth --out '" + at("nan") + "' --videos 4 --noise nan", 2, "'nan' must be from 0 to 1");
  expect_refused("synth --out '" + at("seed") + "' --videos 4 --seed -1", 2, "'-1' must be a whole number, 0 or more");
  std::ofstream(at("clips/misspelled.jsonl")) << R"({"id": "a", "video": "videos/train-000000.mp4", "prompt": "a red square", "lables": {"visual quality": 3}})" << "\n";
  expect_refused(train("--set run.dir='" + at("unlabelled") + "' --set data.train='" + at("clips/misspelled.jsonl") + "'"), 3, "no row has a label");
}

}  // namespace
