// SPDX-License-Identifier: Apache-2.0
// The main job on real files: render, train, kill, resume, two processes, profile, refine, score, evaluate, bad clips.
#include "tests/support/program_suite.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <thread>

namespace {

namespace fs = std::filesystem;
using mvrm::test::Outcome;
using mvrm::test::slurp;

class Story : public mvrm::test::ProgramSuite<Story> {
 protected:
  static void SetUpTestSuite() {
    open("story");
    const Outcome synth = run("synth --out '" + at("clips") + "' --videos 48 --test-videos 24 --noise 0.1 --seed 7");
    ASSERT_EQ(synth.status, 0) << synth.err;
    std::ofstream(at("run.yaml")) << "run: {dir: '" << at("base") << "', seed: 3}\nmodel: {path: '" MVRM_SOURCE_DIR "/configs/demo/init', init: random}\n"
                                  << "data: {train: '" << at("clips/train.jsonl") << "', test: '" << at("clips/test.jsonl") << "'}\n"
                                  << "train: {epochs: 2, batch: 8, micro_batch: 4}\noptimizer: {lr: 1.0e-3}\ncheckpoint: {every: 2, keep: 2}\n";
  }
  static std::string train(const std::string& dir, const std::string& more = "") {
    return "train --config '" + at("run.yaml") + "' --set 'run.dir=" + at(dir) + "' " + more;
  }
  static std::string weights(const std::string& dir) { return slurp(at(dir + "/model/model.safetensors")); }
  static std::vector<double> losses(const std::string& dir) {
    std::vector<double> values;
    std::istringstream lines(slurp(at(dir + "/metrics.jsonl")));
    for (std::string line; std::getline(lines, line);) {
      const auto row = nlohmann::json::parse(line);
      if (row.contains("loss")) values.push_back(row["loss"].get<double>());
    }
    return values;
  }
};

TEST_F(Story, SynthTwiceGivesTheSameBytes) {
  ASSERT_EQ(run("synth --out '" + at("again") + "' --videos 48 --test-videos 24 --noise 0.1 --seed 7").status, 0);
  for (const char* name : {"train.jsonl", "test.jsonl", "truth.jsonl"}) {
    EXPECT_EQ(slurp(at("clips") + "/" + name), slurp(at("again") + "/" + name)) << name;
  }
  for (const auto& entry : fs::directory_iterator(at("clips/videos"))) {
    EXPECT_EQ(slurp(entry.path()), slurp(fs::path(at("again/videos")) / entry.path().filename())) << entry.path();
  }
}

TEST_F(Story, KilledRunResumesToTheSameWeights) {
  ASSERT_EQ(run(train("whole")).status, 0);
  ASSERT_FALSE(weights("whole").empty());
  EXPECT_EQ(losses("whole").size(), 12U);
  ASSERT_EQ(run(train("same")).status, 0);
  EXPECT_EQ(weights("whole"), weights("same")) << "same seed, same bytes";

  const pid_t child = mvrm::test::start_program(MVRM_PROGRAM, train("killed"), at("killed.log"));
  for (int i = 0; i < 2000 && losses("killed").size() < 5; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ASSERT_FALSE(fs::exists(at("killed/done"))) << "the run was over before it could be killed";
  const Outcome resumed = run(train("killed", "--resume auto"));
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_EQ(weights("whole"), weights("killed"));
  EXPECT_EQ(losses("whole"), losses("killed"));
}

TEST_F(Story, SigtermWritesACheckpointAndExits75) {
  const pid_t child = mvrm::test::start_program(MVRM_PROGRAM, train("stopped"), at("stopped.log"));
  for (int i = 0; i < 2000 && losses("stopped").empty(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ::kill(child, SIGTERM);
  int raw = 0;
  ::waitpid(child, &raw, 0);
  ASSERT_TRUE(WIFEXITED(raw)) << slurp(at("stopped.log"));
  EXPECT_EQ(WEXITSTATUS(raw), 75) << slurp(at("stopped.log"));
  ASSERT_EQ(run(train("stopped")).status, 0);
  ASSERT_EQ(run(train("not_stopped")).status, 0);
  EXPECT_EQ(weights("stopped"), weights("not_stopped"));
}

TEST_F(Story, TwoProcessesGiveTheLossesOfOne) {
  ASSERT_EQ(run(train("one")).status, 0);
  const Outcome two = run(train("two", "--nproc-per-node 2"));
  ASSERT_EQ(two.status, 0) << two.err;
  const auto a = losses("one"), b = losses("two");
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-6 * std::abs(a[i])) << "step " << i;
}

TEST_F(Story, ProfileRefineTrainScoreEvaluate) {
  ASSERT_EQ(run(train("noisy")).status, 0);
  const Outcome profile = run("profile --model '" + at("noisy/model") + "' --data '" + at("clips/train.jsonl") + "' --out '" + at("profile") + "'");
  ASSERT_EQ(profile.status, 0) << profile.err;
  EXPECT_NE(profile.out.find("factual consistency"), std::string::npos);
  for (const char* name : {"profile.safetensors", "samples.jsonl", "profile.json", "self_influence.csv"}) {
    EXPECT_TRUE(fs::exists(at("profile") + "/" + name)) << name;
  }
  for (const std::string strategy : {"none", "ddp", "ddr", "mask", "random", "high_loss", "tracin"}) {
    const Outcome refine = run("refine --profile '" + at("profile") + "' --strategy " + strategy + " --alpha 5 --json --out '" + at(strategy + ".jsonl") + "'");
    ASSERT_EQ(refine.status, 0) << refine.err;
    const auto summary = nlohmann::json::parse(refine.out);
    EXPECT_EQ(summary["strategy"], strategy);
    EXPECT_EQ(summary["kept"].get<int>() + summary["removed"].get<int>(), 48);
  }
  const Outcome suspects = run("refine --profile '" + at("profile") + "' --list-suspects 3");
  EXPECT_EQ(std::count(suspects.out.begin(), suspects.out.end(), '\n'), 5) << suspects.out;
  const Outcome trained = run(train("refined", "--set 'refine.plan=" + at("ddp.jsonl") + "'"));
  ASSERT_EQ(trained.status, 0) << trained.err;
  EXPECT_NE(weights("refined"), weights("noisy"));

  const Outcome score = run("score --model '" + at("refined/model") + "' --data '" + at("clips/test.jsonl") + "' --json --out '" + at("p.jsonl") + "'");
  ASSERT_EQ(score.status, 0) << score.err;
  const auto scored = nlohmann::json::parse(score.out);
  EXPECT_EQ(scored["results"].size(), 24U);
  const Outcome eval = run("eval spearman --json --predictions '" + at("p.jsonl") + "'");
  ASSERT_EQ(eval.status, 0) << eval.err;
  const auto ours = nlohmann::json::parse(eval.out), runs = nlohmann::json::parse(slurp(at("refined/eval.json")));
  EXPECT_EQ(ours["n"], 24);
  EXPECT_NEAR(ours["mean"].get<double>(), runs["mean"].get<double>(), 1e-12);
}

TEST_F(Story, AutoRefinementTrainsBaselineAndProfileOnce) {
  const std::string arguments = train("auto", "--set refine.strategy=ddr --set train.epochs=1");
  ASSERT_EQ(run(arguments).status, 0);
  EXPECT_TRUE(fs::exists(at("auto/baseline/model/model.safetensors")));
  EXPECT_TRUE(fs::exists(at("auto/profile/profile.safetensors")));
  EXPECT_TRUE(fs::exists(at("auto/plan.jsonl")));
  const auto before = fs::last_write_time(at("auto/baseline/model/model.safetensors"));
  ASSERT_EQ(run(arguments).status, 0);
  EXPECT_EQ(before, fs::last_write_time(at("auto/baseline/model/model.safetensors"))) << "the baseline was trained twice";
}

TEST_F(Story, BadClipsEndTheRunOrAreSkippedAndCounted) {
  std::istringstream lines(slurp(at("clips/train.jsonl")));
  std::string rows, line;
  std::getline(lines, line);
  auto bad = nlohmann::json::parse(line);
  bad["id"] = "broken";
  bad["video"] = "videos/cut.mp4";
  const std::string whole = slurp(at("clips") + "/" + nlohmann::json::parse(line)["video"].get<std::string>());
  std::ofstream(at("clips/videos/cut.mp4"), std::ios::binary) << whole.substr(0, whole.size() / 2);
  std::ofstream(at("clips/bad.jsonl")) << slurp(at("clips/train.jsonl")) << bad.dump() << "\n";
  const std::string data = "--set train.epochs=1 --set 'data.train=" + at("clips/bad.jsonl") + "'";
  const Outcome refused = run(train("refused", data));
  EXPECT_EQ(refused.status, 3) << refused.err;
  EXPECT_NE(refused.err.find("broken"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("cut.mp4"), std::string::npos) << refused.err;
  const Outcome skipped = run(train("skipped", data + " --set data.max_bad_samples=1"));
  EXPECT_EQ(skipped.status, 0) << skipped.err;
  EXPECT_NE(skipped.err.find("broken"), std::string::npos) << skipped.err;
}

}  // namespace
