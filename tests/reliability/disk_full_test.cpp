// SPDX-License-Identifier: Apache-2.0
// A disk that is full, a quota that is used up, a device that fails (spec/reliability.md R4): the job ends with status 5 and a line with
// the path, what was committed stays, and the same command on a disk with room ends with the bytes of a run that saw nothing of it.
// MVRM_CRASH_SWEEP=all: every call with every error.
#include <gtest/gtest.h>
#include <mvrm/train/checkpoint.h>

#include "tests/reliability/jobs.h"

namespace mvrm {
namespace {

namespace fs = std::filesystem;
using test::FaultKind;
using test::FaultPlan;
using test::Ranks;

struct Fault { int64_t call = 0; FaultKind kind = FaultKind::fail; int error = 0; };

std::vector<Fault> faults_of(int64_t calls, size_t wanted) {
  std::vector<Fault> all;
  for (int64_t n = 1; n <= calls; ++n)
    for (const FaultKind kind : {FaultKind::fail, FaultKind::fail_once})
      for (const int error : {ENOSPC, EDQUOT, EIO}) all.push_back({n, kind, error});
  return test::spread(all, wanted);
}

class DiskFull : public testing::Test {
 protected:
  test::Scratch scratch_{"disk_full"};
  test::TinyJobFiles files_{scratch_.path};
  const bool warm_ = test::warm_up(files_, scratch_.path / "warm_up");
  const fs::path dir_ = scratch_.path / "job";

  void sweep(size_t wanted, const Ranks::Body& body) {
    Ranks whole(1);
    ASSERT_EQ(whole.run(dir_, body).front(), 0) << whole.said(0);
    const auto expected = test::contents(dir_);
    const auto faults = faults_of(whole.plan(0).calls, wanted);
    size_t refused = 0, harmless = 0;
    for (const Fault& fault : faults) {
      fs::remove_all(dir_);
      Ranks job(1);
      FaultPlan& plan = job.plan(0);
      plan.at = fault.call;
      plan.kind = fault.kind;
      plan.error = fault.error;
      const int status = job.run(dir_, body).front();
      const std::string where = "call " + std::to_string(fault.call) + ", " + std::strerror(fault.error) + (fault.kind == FaultKind::fail ? " from there on" : " once");
      EXPECT_TRUE(status == 5 || status == 0) << where << ": status " << status << ": " << job.said(0);
      if (status == 5) {
        ++refused;
        EXPECT_NE(job.said(0).find(dir_.string()), std::string::npos) << where << ": " << job.said(0);
        EXPECT_EQ(job.said(0).find('\n'), std::string::npos) << where << ": " << job.said(0);
      } else {
        ++harmless;
      }
      const auto newest = train::newest_checkpoint(dir_, core::Log());
      EXPECT_EQ(newest ? newest->filename().string() : "none", plan.commits == 0 ? "none" : "step-" + std::to_string(2 * plan.commits)) << where;
      Ranks again(1);
      EXPECT_EQ(again.run(dir_, body).front(), 0) << where << ": " << again.said(0);
      EXPECT_EQ(test::difference(expected, test::contents(dir_)), "") << where;
    }
    std::printf("disk full | %lld calls | %zu faults: %zu refused with status 5, %zu without harm\n", static_cast<long long>(whole.plan(0).calls), faults.size(), refused, harmless);
    EXPECT_GT(refused, faults.size() / 2);
  }
};

// A checkpoint that doesn't fit is refused before a byte of it is written, on every rank with the same line.
TEST_F(DiskFull, ACheckpointIsNotBegunWhereThereIsNoRoomForIt) {
  const auto body = test::train_body(test::tiny_run_config(files_, dir_));
  for (const int64_t ranks : {1, 2}) {
    fs::remove_all(dir_);
    Ranks whole(ranks);
    ASSERT_EQ(whole.run(dir_, body), std::vector<int>(static_cast<size_t>(ranks), 0)) << whole.said(0);
    const auto expected = test::contents(dir_);
    fs::remove_all(dir_);
    Ranks killed(ranks);   // behind the checkpoint of step 2
    killed.plan(0).at = whole.plan(0).calls * 6 / 10;
    killed.plan(0).whole_group = true;
    ASSERT_EQ(killed.run(dir_, body).front(), 128 + SIGKILL);
    const auto before = train::newest_checkpoint(dir_, core::Log());
    ASSERT_TRUE(before);
    Ranks full(ranks);
    for (int64_t r = 0; r < ranks; ++r) full.plan(r).free_bytes = 1000;
    EXPECT_EQ(full.run(dir_, body), std::vector<int>(static_cast<size_t>(ranks), 5));
    for (int64_t r = 0; r < ranks; ++r) {
      const std::string& said = full.said(static_cast<size_t>(r));
      EXPECT_EQ(said.rfind((dir_ / "checkpoints").string() + ": the checkpoint of step ", 0), 0U) << said;
      EXPECT_NE(said.find(" bytes, the disk has 1000; make room"), std::string::npos) << said;
    }
    EXPECT_EQ(train::newest_checkpoint(dir_, core::Log()), before);
    for (const auto& entry : fs::directory_iterator(dir_ / "checkpoints")) EXPECT_TRUE(entry.path().filename().string().starts_with("step-")) << entry.path();
    Ranks again(ranks);
    EXPECT_EQ(again.run(dir_, body).front(), 0) << again.said(0);
    EXPECT_EQ(test::difference(expected, test::contents(dir_)), "") << ranks << " ranks";
  }
}

TEST_F(DiskFull, Training) { sweep(40, test::train_body(test::tiny_run_config(files_, dir_))); }
TEST_F(DiskFull, Profiling) { sweep(40, test::profile_body(files_, dir_)); }

}  // namespace
}  // namespace mvrm
