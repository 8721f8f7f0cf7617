// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <mvrm/dist/heartbeat.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "tests/support/program.h"

namespace mvrm::dist {
namespace {

// A process that has ended and was waited for: nobody has its number.
pid_t ended_process() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  return child;
}

pid_t idle_process() {
  const pid_t child = ::fork();
  if (child == 0) for (;;) ::pause();
  return child;
}

class HeartbeatTest : public testing::Test {
 protected:
  void beat_of(int64_t rank, pid_t pid, const std::string& host, uint64_t calls = 0) const {
    std::ofstream(scratch_.path / ("rank-" + std::to_string(rank))) << "7 " << pid << ' ' << host << ' ' << calls << '\n';
  }
  static std::string this_host() {
    char name[256] = "?";
    ::gethostname(name, sizeof name - 1);
    return name;
  }
  // Whether a peer is known to be lost within `seconds`.
  static bool loses_within(const Heartbeat& heartbeat, double seconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (!heartbeat.lost_peer() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return heartbeat.lost_peer();
  }
  test::Scratch scratch_{"heartbeat"};
};

TEST_F(HeartbeatTest, AProcessThatIsGoneFromThisMachineIsLost) {
  const pid_t peer = idle_process();
  const Heartbeat mine(scratch_.path, 0, 2);
  beat_of(1, peer, this_host());
  EXPECT_FALSE(loses_within(mine, 1.5)) << "it is alive";
  ::kill(peer, SIGKILL);
  ::waitpid(peer, nullptr, 0);
  EXPECT_TRUE(loses_within(mine, 5));
  EXPECT_NE(mine.diagnosis().find("rank 1 (pid " + std::to_string(peer)), std::string::npos);
}

TEST_F(HeartbeatTest, OneThatWasGoneBeforeAnyLookIsLostToo) {
  const Heartbeat mine(scratch_.path, 0, 2);
  beat_of(1, ended_process(), this_host());
  EXPECT_TRUE(loses_within(mine, 5));
}

TEST_F(HeartbeatTest, WhatAnEarlierJobLeftBehindIsNoLoss) {
  beat_of(1, ended_process(), this_host());
  const Heartbeat mine(scratch_.path, 0, 2);
  EXPECT_FALSE(loses_within(mine, 1.5));
}

TEST_F(HeartbeatTest, NothingIsSaidOfOtherMachines) {
  const Heartbeat mine(scratch_.path, 0, 2);
  beat_of(1, ended_process(), "another-" + this_host());
  EXPECT_FALSE(loses_within(mine, 1.5));
}

// One that hangs keeps its heartbeat: a thread of its own.
TEST_F(HeartbeatTest, WhoIsBehindTheOthersIsNamed) {
  const Heartbeat mine(scratch_.path, 0, 3), second(scratch_.path, 1, 3), third(scratch_.path, 2, 3);
  for (int call = 0; call < 4; ++call)
    for (const Heartbeat* one : {&mine, &second, &third})
      if (one != &third || call < 3) one->count_call();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const std::string here = " (pid " + std::to_string(::getpid()) + " on " + this_host() + ")";
  EXPECT_EQ(mine.diagnosis(), "rank 2" + here + " answers, but has not come to what the others wait for");
  third.count_call();
  EXPECT_EQ(mine.diagnosis(), "all ranks answer and wait for the same: the network between them is broken or too slow");
}

}  // namespace
}  // namespace mvrm::dist
