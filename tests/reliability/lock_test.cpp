// SPDX-License-Identifier: Apache-2.0
// Two jobs in one directory (spec/reliability.md R16): the second is refused within a second and told of the first, and what a killed one
// leaves holds nobody up.
#include <gtest/gtest.h>
#include <mvrm/config/yaml_reader.h>
#include <mvrm/core/files.h>
#include <thread>

#include "tests/reliability/jobs.h"

namespace mvrm {
namespace {

namespace fs = std::filesystem;
using test::Outcome;
using test::Ranks;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

class Lock : public testing::Test {
 protected:
  test::Scratch scratch_{"lock"};
  test::TinyJobFiles files_{scratch_.path, 400};
  const fs::path dir_ = scratch_.path / "job";

  template <class Condition> static void wait_for(const Condition& condition) {
    for (const auto begin = Clock::now(); !condition() && seconds_since(begin) < 60;) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  Outcome mvrm(const std::string& arguments) const { return test::run_program(MVRM_PROGRAM, arguments, scratch_.path); }
  std::string profile(const fs::path& out) const {
    return "profile --quiet --model '" + files_.model.string() + "' --data '" + files_.data.string() + "' --out '" + out.string() + "' ";
  }
  static std::string owner(pid_t process) {
    char host[256] = "";
    ::gethostname(host, sizeof host - 1);
    return "another job (pid " + std::to_string(process) + " on " + host + ") is at work in this directory; wait for it or choose another ";
  }
};

TEST_F(Lock, ASecondTrainingIsRefusedAndNamesTheFirst) {
  test::warm_up(files_, scratch_.path / "warm_up");
  auto config = test::tiny_run_config(files_, dir_);
  config.training.train.max_steps = 100000;
  config.training.train.epochs = 100000;
  Ranks first(1);
  const auto statuses = first.run(dir_, test::train_body(config), 30, [&](const std::vector<pid_t>& ranks) {
    wait_for([&] { return !test::slurp(dir_ / "metrics.jsonl").empty(); });
    Ranks second(2);
    const auto begin = Clock::now();
    EXPECT_EQ(second.run(dir_, test::train_body(config)), (std::vector<int>{2, 2}));
    const double seconds = seconds_since(begin);
    EXPECT_LT(seconds, 1);
    std::printf("second training | refused after %.3f s\n", seconds);
    EXPECT_NE(second.said(0).find(owner(ranks.front()) + "run.dir"), std::string::npos) << second.said(0);
    EXPECT_EQ(second.said(1), second.said(0));
    core::write_file_atomic(scratch_.path / "run.yaml", config::to_yaml(config));
    const Outcome launcher = mvrm("train --quiet --config '" + (scratch_.path / "run.yaml").string() + "' --nproc-per-node 2");
    EXPECT_EQ(launcher.status, 2) << launcher.err;
    EXPECT_EQ(launcher.err, "mvrm: error: " + dir_.string() + ": " + owner(ranks.front()) + "run.dir\n");
    ::kill(ranks.front(), SIGKILL);
  });
  EXPECT_EQ(statuses.front(), 128 + SIGKILL);
  EXPECT_TRUE(fs::exists(dir_ / ".lock"));
  config.training.train.max_steps = 7;
  fs::remove_all(dir_ / "checkpoints");
  Ranks third(1);
  EXPECT_EQ(third.run(dir_, test::train_body(config)).front(), 0) << third.said(0);
}

// The program itself. The first stands still while the second asks, so it can't be over before.
TEST_F(Lock, ASecondProfileIsRefusedAndAKilledOneHoldsNobodyUp) {
  const pid_t first = test::start_program(MVRM_PROGRAM, profile(dir_), scratch_.path / "first.log");
  wait_for([&] { return !test::slurp(dir_ / ".lock").empty(); });
  ::kill(first, SIGSTOP);
  for (const std::string more : {"", "--features", "--nproc-per-node 2"}) {
    const auto begin = Clock::now();
    const Outcome second = mvrm(profile(dir_) + more);
    std::printf("second profile %s | refused after %.2f s, start of the program included\n", more.c_str(), seconds_since(begin));
    EXPECT_EQ(second.status, 2) << second.err;
    EXPECT_EQ(second.out, "");
    EXPECT_NE(second.err.find("mvrm: error: " + dir_.string() + ": " + owner(first) + "--out\n"), std::string::npos) << second.err;
    EXPECT_EQ(std::count(second.err.begin(), second.err.end(), '\n'), 1) << second.err;
  }
  EXPECT_EQ(mvrm(profile(scratch_.path / "another")).status, 0);
  ::kill(first, SIGKILL);
  int raw = 0;
  ::waitpid(first, &raw, 0);
  EXPECT_TRUE(WIFSIGNALED(raw)) << "the first was over: nothing was tested; " << test::slurp(scratch_.path / "first.log");
  const Outcome third = mvrm(profile(dir_));
  EXPECT_EQ(third.status, 0) << third.err;
  EXPECT_EQ(test::difference(test::contents(scratch_.path / "another"), test::contents(dir_)), "");
}

}  // namespace
}  // namespace mvrm
