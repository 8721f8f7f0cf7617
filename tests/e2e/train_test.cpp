// SPDX-License-Identifier: Apache-2.0
// mvrm train as a user starts it: evaluation on the way, on one process and on two that keep a part of the weights each.
#include "tests/support/program.h"

#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

namespace {

namespace fs = std::filesystem;
using mvrm::test::Outcome;
using mvrm::test::Scratch;
using mvrm::test::slurp;

class TrainProgram : public testing::Test {
 protected:
  Scratch scratch_{"train_program"};
  std::string at(const std::string& name) const { return (scratch_.path / name).string(); }
  Outcome run(const std::string& arguments) const { return mvrm::test::run_program(MVRM_PROGRAM, arguments, scratch_.path); }
  // Evaluations by step.
  std::map<int, nlohmann::json> evaluations(const std::string& dir) const {
    std::map<int, nlohmann::json> found;
    std::istringstream lines(slurp(at(dir + "/metrics.jsonl")));
    for (std::string line; std::getline(lines, line);) {
      const auto row = nlohmann::json::parse(line);
      if (row.contains("eval") && !found.emplace(row.at("step").get<int>(), row.at("eval")).second) ADD_FAILURE() << "twice: " << line;
    }
    return found;
  }
};

TEST_F(TrainProgram, EvaluatesOnTheWayAndAtTheEnd) {
  ASSERT_EQ(run("synth --out '" + at("clips") + "' --videos 12 --test-videos 12 --seed 7").status, 0);
  std::ofstream(at("run.yaml")) << "run: {dir: '" << at("one") << "', seed: 3}\nmodel: {path: '" MVRM_SOURCE_DIR "/configs/demo/init', init: random}\n"
                                << "data: {train: '" << at("clips/train.jsonl") << "'}\ntrain: {batch: 4, epochs: 9, max_steps: 5}\noptimizer: {lr: 1.0e-3}\n"
                                << "eval: {data: '" << at("clips/test.jsonl") << "', every: 2}\ncheckpoint: {every: 3}\n";
  const std::string command = "train --config '" + at("run.yaml") + "'";
  const Outcome one = run(command);
  ASSERT_EQ(one.status, 0) << one.err;
  EXPECT_NE(one.err.find("evaluation: Spearman "), std::string::npos) << one.err;
  const auto expected = evaluations("one");
  ASSERT_EQ(expected.size(), 3U);
  for (const int step : {2, 4, 5}) ASSERT_TRUE(expected.contains(step)) << step;
  EXPECT_EQ(expected.at(5), nlohmann::json::parse(slurp(at("one/eval.json"))));
  EXPECT_NE(expected.at(2).at("mean"), expected.at(4).at("mean")) << "the model has changed";
  for (const char* reshard : {"keep", "free"}) {
    const Outcome two = run(command + " --nproc-per-node 2 --set run.dir='" + at(reshard) + "' --set dist.reshard=" + reshard);
    ASSERT_EQ(two.status, 0) << two.err;
    const auto found = evaluations(reshard);
    ASSERT_EQ(found.size(), 3U) << reshard;
    for (const auto& [step, evaluation] : expected)
      for (const auto& [name, dimension] : evaluation.at("dimensions").items())
        EXPECT_EQ(found.at(step).at("dimensions").at(name).at("spearman"), dimension.at("spearman")) << reshard << " " << step << " " << name;
  }
  // Other test clips: the model is measured again, its line is replaced.
  ASSERT_EQ(run(command + " --set eval.data='" + at("clips/train.jsonl") + "'").status, 0);
  const auto again = evaluations("one");
  EXPECT_EQ(again.size(), 3U);
  EXPECT_EQ(again.at(5), nlohmann::json::parse(slurp(at("one/eval.json"))));
  EXPECT_NE(again.at(5).at("mean"), expected.at(5).at("mean"));
}

// TracIn over the checkpoints of one run.
TEST_F(TrainProgram, ModelsOfCheckpointsCanBeProfiled) {
  ASSERT_EQ(run("synth --out '" + at("clips") + "' --videos 12 --test-videos 4 --seed 7").status, 0);
  std::ofstream(at("run.yaml")) << "run: {dir: '" << at("one") << "', seed: 3}\nmodel: {path: '" MVRM_SOURCE_DIR "/configs/demo/init', init: random}\n"
                                << "data: {train: '" << at("clips/train.jsonl") << "'}\ntrain: {batch: 4, epochs: 9, max_steps: 5}\noptimizer: {lr: 1.0e-3}\n"
                                << "checkpoint: {every: 2, keep: 9, model: true}\n";
  const std::string command = "train --quiet --config '" + at("run.yaml") + "'";
  const Outcome one = run(command), two = run(command + " --nproc-per-node 2 --set run.dir='" + at("two") + "' --set dist.reshard=free");
  ASSERT_EQ(one.status, 0) << one.err;
  ASSERT_EQ(two.status, 0) << two.err;
  std::string checkpoints;
  std::vector<std::string> weights;
  for (const char* step : {"step-2", "step-4"}) {
    const std::string model = at("one/checkpoints/") + step + "/model", weight = slurp(model + "/model.safetensors");
    ASSERT_FALSE(weight.empty());
    EXPECT_TRUE(weight == slurp(at("two/checkpoints/") + step + "/model/model.safetensors")) << step << " on two ranks";
    weights.push_back(weight);
    const Outcome profile = run("profile --quiet --model '" + model + "' --data '" + at("clips/train.jsonl") + "' --out '" + at(step) + "'");
    ASSERT_EQ(profile.status, 0) << profile.err;
    checkpoints += " --checkpoint '" + at(step) + "=1e-3'";
  }
  EXPECT_FALSE(weights[0] == weights[1]);
  const Outcome tracin = run("profile --json --from '" + at("step-4") + "' --estimator tracin" + checkpoints + " --out '" + at("tracin") + "'");
  ASSERT_EQ(tracin.status, 0) << tracin.err;
  EXPECT_GT(nlohmann::json::parse(tracin.out).at("dimensions").at("visual quality").at("mean").get<double>(), 0);
  // A resume doesn't mind them.
  fs::remove_all(at("one/model"));
  fs::remove(at("one/done"));
  const Outcome again = run(command);
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_TRUE(slurp(at("one/model/model.safetensors")) == slurp(at("two/model/model.safetensors")));
}

}  // namespace
