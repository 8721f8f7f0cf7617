// SPDX-License-Identifier: Apache-2.0
// SIGTERM, SIGINT and SIGUSR1 at any moment of a training run (spec/reliability.md R5): status 75 and a checkpoint, and the run that goes
// on from it ends with the bytes of one that nobody stopped. MVRM_CRASH_SWEEP=all: 50 moments.
#include <gtest/gtest.h>
#include <mvrm/train/checkpoint.h>
#include <random>
#include <thread>

#include "tests/reliability/jobs.h"

namespace mvrm {
namespace {

namespace fs = std::filesystem;
using test::Ranks;
using Clock = std::chrono::steady_clock;

class Signals : public testing::Test {
 protected:
  test::Scratch scratch_{"signals"};
  test::TinyJobFiles files_{scratch_.path};
  const bool warm_ = test::warm_up(files_, scratch_.path / "warm_up");
  const fs::path dir_ = scratch_.path / "job";
  run::RunConfig config_ = test::tiny_run_config(files_, dir_);
  bool at_work() const { return !test::slurp(dir_ / "metrics.jsonl").empty(); }
  void wait_for_work() const {
    for (const auto begin = Clock::now(); !at_work() && Clock::now() - begin < std::chrono::seconds(60);) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
};

TEST_F(Signals, AtAnyMomentLeaveACheckpointAndStatus75) {
  config_.training.train.max_steps = 60;
  config_.training.train.epochs = 100;
  config_.training.checkpoint.every = 25;
  config_.training.checkpoint.keep = 1;
  const auto body = test::train_body(config_);
  Ranks whole(2);
  const auto begin = Clock::now();
  ASSERT_EQ(whole.run(dir_, body), (std::vector<int>{0, 0})) << whole.said(0);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const auto weights = test::slurp(dir_ / "model" / "model.safetensors");
  const auto metrics = test::contents(dir_).at("metrics.jsonl");

  std::mt19937 random(7);
  int stopped = 0;
  const auto moments = test::spread(std::vector<int>(50), 8).size();
  for (size_t i = 0; i < moments; ++i) {
    fs::remove_all(dir_);
    const int signal = std::array{SIGTERM, SIGINT, SIGUSR1}[i % 3];
    Ranks job(2);
    Clock::time_point sent;
    // One rank or both, as a user's kill and a scheduler's would.
    const auto statuses = job.run(dir_, body, 30, [&](const std::vector<pid_t>& ranks) {
      wait_for_work();
      std::this_thread::sleep_for(std::chrono::duration<double>(seconds * std::uniform_real_distribution<double>(0, 0.6)(random)));
      sent = Clock::now();
      for (size_t r = 0; r < (i % 2 == 0 ? ranks.size() : 1); ++r) ::kill(ranks[r], signal);
    });
    EXPECT_LT(Clock::now() - sent, std::chrono::seconds(25)) << "torchrun and Kubernetes give 30";
    ASSERT_TRUE(statuses == (std::vector<int>{75, 75}) || statuses == (std::vector<int>{0, 0})) << statuses[0] << " " << statuses[1] << ": " << job.said(0) << job.said(1);
    if (statuses[0] == 75) {
      ++stopped;
      EXPECT_TRUE(train::newest_checkpoint(dir_, core::Log()));
      Ranks again(1);   // another number of ranks, too
      ASSERT_EQ(again.run(dir_, body), (std::vector<int>{0})) << again.said(0);
    }
    EXPECT_EQ(test::slurp(dir_ / "model" / "model.safetensors"), weights) << ::strsignal(signal) << ", moment " << i;
    EXPECT_EQ(test::contents(dir_).at("metrics.jsonl"), metrics) << ::strsignal(signal) << ", moment " << i;
  }
  EXPECT_GE(2 * stopped, static_cast<int>(moments));
  std::printf("signals | %zu moments, %d stopped\n", moments, stopped);
}

// Rank 1 stands still, so rank 0 can't reach the border of the step; the second Ctrl-C means it.
TEST_F(Signals, ASecondInterruptEndsTheProcessAtOnce) {
  config_.training.train.max_steps = 100000;
  config_.training.train.epochs = 100000;
  Ranks job(2);
  Clock::time_point second, end;
  const auto statuses = job.run(dir_, test::train_body(config_), 60, [&](const std::vector<pid_t>& ranks) {
    wait_for_work();
    ::kill(ranks[1], SIGSTOP);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    ::kill(ranks[0], SIGINT);
    std::this_thread::sleep_for(std::chrono::milliseconds(1300));
    second = Clock::now();
    ::kill(ranks[0], SIGINT);
    siginfo_t ended{};
    ::waitid(P_PID, static_cast<id_t>(ranks[0]), &ended, WEXITED | WNOWAIT);
    end = Clock::now();
    ::kill(ranks[1], SIGKILL);
  });
  EXPECT_EQ(statuses[0], 130);
  EXPECT_LT(end - second, std::chrono::seconds(3)) << "not at once: the timeout is 60 s";
}

}  // namespace
}  // namespace mvrm
