// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <mvrm/dist/heartbeat.h>

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

class HeartbeatTest : public testing::Test {
 protected:
  void beat_of_rank_1(pid_t pid, const std::string& host) const { std::ofstream(scratch_.path / "rank-1") << "7 " << pid << ' ' << host << '\n'; }
  static std::string this_host() {
    char name[256] = "?";
    ::gethostname(name, sizeof name - 1);
    return name;
  }
  test::Scratch scratch_{"heartbeat"};
};

TEST_F(HeartbeatTest, AProcessThatIsGoneFromThisMachineIsLost) {
  const Heartbeat mine(scratch_.path, 0, 2);
  EXPECT_FALSE(mine.lost_peer()) << "rank 1 has not beaten yet";
  beat_of_rank_1(::getpid(), this_host());
  EXPECT_FALSE(mine.lost_peer());
  const pid_t gone = ended_process();
  beat_of_rank_1(gone, this_host());
  EXPECT_TRUE(mine.lost_peer());
  EXPECT_NE(mine.diagnosis().find("rank 1 (pid " + std::to_string(gone)), std::string::npos);
}

TEST_F(HeartbeatTest, NothingIsSaidOfOtherMachines) {
  const Heartbeat mine(scratch_.path, 0, 2);
  beat_of_rank_1(ended_process(), "another-" + this_host());
  EXPECT_FALSE(mine.lost_peer());
}

}  // namespace
}  // namespace mvrm::dist
