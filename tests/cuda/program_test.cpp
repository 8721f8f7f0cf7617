// SPDX-License-Identifier: Apache-2.0
// The program as a user of a GPU node starts it: train, score, profile, and one process for each GPU.
#include <gtest/gtest.h>
#include <chrono>
#include <mvrm/dist/plugin.h>
#include <nlohmann/json.hpp>

#include <cmath>

#include "tests/support/program.h"

namespace {

using mvrm::test::Outcome;
using mvrm::test::slurp;

class GpuProgram : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new mvrm::test::Scratch("gpu_program");
    ASSERT_EQ(run("synth --out '" + at("clips") + "' --videos 48 --test-videos 24 --seed 7").status, 0);
    std::ofstream(at("run.yaml")) << "run: {seed: 3}\nmodel: {path: '" MVRM_SOURCE_DIR "/configs/demo/base'}\n"
                                  << "data: {train: '" << at("clips/train.jsonl") << "', test: '" << at("clips/test.jsonl") << "'}\n"
                                  << "train: {epochs: 2, batch: 8}\ncheckpoint: {every: 5}\n";
  }
  static void TearDownTestSuite() { delete scratch_; }
  static std::string at(const std::string& name) { return (scratch_->path / name).string(); }
  static Outcome run(const std::string& arguments) { return mvrm::test::run_program(MVRM_PROGRAM, arguments, scratch_->path); }
  static Outcome run_on_cpu(const std::string& arguments) {
    return mvrm::test::run_program("/usr/bin/env", "CUDA_VISIBLE_DEVICES= '" MVRM_PROGRAM "' " + arguments, scratch_->path);
  }
  static std::string train(const std::string& dir, const std::string& more = "") { return "train --config '" + at("run.yaml") + "' --set 'run.dir=" + at(dir) + "' " + more; }
  static std::vector<nlohmann::json> metrics(const std::string& dir) {
    std::vector<nlohmann::json> rows;
    std::istringstream lines(slurp(at(dir + "/metrics.jsonl")));
    for (std::string line; std::getline(lines, line);) rows.push_back(nlohmann::json::parse(line));
    return rows;
  }
  // Rewards by id, of every dimension.
  static std::map<std::string, nlohmann::json> rewards(const std::string& file) {
    std::map<std::string, nlohmann::json> found;
    std::istringstream lines(slurp(at(file)));
    for (std::string line; std::getline(lines, line);) {
      const auto row = nlohmann::json::parse(line);
      found[row.at("id")] = row.at("scores");
    }
    return found;
  }
  static double worst(const std::map<std::string, nlohmann::json>& a, const std::map<std::string, nlohmann::json>& b) {
    double worst = 0;
    for (const auto& [id, row] : a)
      for (const auto& [name, value] : row.items()) worst = std::max(worst, std::abs(value.get<double>() - b.at(id).at(name).get<double>()));
    return worst;
  }
  static mvrm::test::Scratch* scratch_;
};
mvrm::test::Scratch* GpuProgram::scratch_ = nullptr;

TEST_F(GpuProgram, TrainsWhereTheGpuIsAndRepeatsItself) {
  const Outcome first = run(train("first", "--nproc-per-node 1"));
  ASSERT_EQ(first.status, 0) << first.err;
  ASSERT_EQ(run(train("second", "--nproc-per-node 1")).status, 0);
  EXPECT_EQ(slurp(at("first/model/model.safetensors")), slurp(at("second/model/model.safetensors"))) << "same seed, same bytes";
  EXPECT_TRUE(metrics("first").front().contains("peak_device_memory_gib")) << "the run was not on a GPU";
  const Outcome cpu = run_on_cpu(train("cpu"));
  ASSERT_EQ(cpu.status, 0) << cpu.err;
  EXPECT_FALSE(metrics("cpu").front().contains("peak_device_memory_gib"));
  EXPECT_NEAR(metrics("cpu").front().at("loss").get<double>(), metrics("first").front().at("loss").get<double>(), 1e-4);
}

TEST_F(GpuProgram, ScoresAndProfilesAsTheCpuDoes) {
  const std::string model = "--model '" MVRM_SOURCE_DIR "/configs/demo/base' --data '" + at("clips/test.jsonl") + "'";
  ASSERT_EQ(run("score " + model + " --nproc-per-node 1 --out '" + at("gpu.jsonl") + "'").status, 0);
  ASSERT_EQ(run_on_cpu("score " + model + " --out '" + at("cpu.jsonl") + "'").status, 0);
  EXPECT_EQ(rewards("gpu.jsonl").size(), 24U);
  EXPECT_LT(worst(rewards("gpu.jsonl"), rewards("cpu.jsonl")), 1e-3);
  const Outcome profile = run("profile " + model + " --nproc-per-node 1 --features f32 --out '" + at("profile") + "'");
  ASSERT_EQ(profile.status, 0) << profile.err;
  EXPECT_EQ(nlohmann::json::parse(run("profile --json --from '" + at("profile") + "' --out '" + at("again") + "'").out).at("done"), 24);
}

TEST_F(GpuProgram, EveryNumberOfGpusGivesTheSameBytes) {
  const int gpus = mvrm::dist::cuda_device_count();
  if (gpus < 2) GTEST_SKIP() << "needs two GPUs or more, here is " << gpus;
  const std::string ordered = "--set dist.order=ordered --set dist.balance=never ";
  ASSERT_EQ(run(train("alone", ordered + "--nproc-per-node 1")).status, 0);
  for (const int ranks : {2, 4, 8}) {
    if (ranks > gpus) continue;
    for (const char* knobs : {"--set dist.reshard=keep --set dist.reduce=step", "--set dist.reshard=keep --set dist.reduce=micro",
                              "--set dist.reshard=free --set dist.reduce=step", "--set dist.reshard=free --set dist.reduce=micro"}) {
      const std::string dir = "ranks" + std::to_string(ranks) + std::to_string(std::hash<std::string>{}(knobs));
      const Outcome outcome = run(train(dir, ordered + knobs + " --nproc-per-node " + std::to_string(ranks)));
      ASSERT_EQ(outcome.status, 0) << outcome.err;
      EXPECT_EQ(slurp(at("alone/model/model.safetensors")), slurp(at(dir + "/model/model.safetensors"))) << ranks << " GPUs, " << knobs;
    }
  }
}

TEST_F(GpuProgram, ALostGpuRankEndsTheOthersAndIsNamed) {
  const int gpus = mvrm::dist::cuda_device_count();
  if (gpus < 2) GTEST_SKIP() << "needs two GPUs or more, here is " << gpus;
  const std::string log = at("lost.log");
  const pid_t launcher = mvrm::test::start_program(MVRM_PROGRAM, train("lost", "--set train.epochs=1000 --nproc-per-node 2"), log);
  pid_t rank1 = 0;
  for (int i = 0; i < 600 && rank1 == 0; ++i) {   // "count pid host"
    std::istringstream fields(slurp(at("lost/.ranks/rank-1")));
    int64_t count = 0;
    if (metrics("lost").size() < 3 || !(fields >> count >> rank1)) rank1 = 0;
    ::usleep(100'000);
  }
  ASSERT_GT(rank1, 0) << slurp(log);
  const auto begin = std::chrono::steady_clock::now();
  ::kill(rank1, SIGKILL);
  int status = 0;
  ::waitpid(launcher, &status, 0);
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 5);
  EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 7) << slurp(log);
  const std::string said = slurp(log), lost = "rank 0 of 2 lost a peer";   // rank 0's own words: the launcher names rank 1 too
  ASSERT_NE(said.find(lost), std::string::npos) << said;
  EXPECT_NE(said.find("rank 1", said.find(lost)), std::string::npos) << said;
}

}  // namespace
