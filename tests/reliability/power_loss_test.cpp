// SPDX-License-Identifier: Apache-2.0
// The power goes at any moment (spec/reliability.md R2): whatever part of the unsynchronised calls reached the disk, the same command
// ends with the same bytes, and a checkpoint that was put in place and synchronised is still there. MVRM_CRASH_SWEEP=all: every state.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <mvrm/train/checkpoint.h>

#include "tests/reliability/disk_model.h"
#include "tests/reliability/jobs.h"

namespace mvrm {
namespace {

namespace fs = std::filesystem;
using test::DiskModel;
using test::Ranks;
using test::Survives;
using test::TraceCall;

struct State { size_t calls = 0; Survives what = Survives::synchronised; };

// Checkpoints that a power loss must leave: renamed, their folder `checkpoints` synchronised behind that, and its own name in the run
// directory too.
class Committed {
 public:
  void see(const test::TracedCall& call, const fs::path& run_dir) {
    const fs::path checkpoints = run_dir / "checkpoints";
    if (call.header.call == TraceCall::folder && call.path == checkpoints) named_ = false;
    if (call.header.call == TraceCall::rename && fs::path(call.second).filename().string().starts_with("step-")) ++renamed_;
    if (call.header.call == TraceCall::sync && call.path == checkpoints) synchronised_ = renamed_;
    if (call.header.call == TraceCall::sync && call.path == run_dir && synchronised_ > 0) named_ = true;
  }
  int64_t count() const { return named_ ? synchronised_ : 0; }

 private:
  int64_t renamed_ = 0, synchronised_ = 0;
  bool named_ = false;
};

class PowerLoss : public testing::Test {
 protected:
  test::Scratch scratch_{"power_loss"};
  test::TinyJobFiles files_{scratch_.path};
  const bool warm_ = test::warm_up(files_, scratch_.path / "warm_up");
  const fs::path dir_ = scratch_.path / "job";

  // The job's calls; its folder is gone afterwards. Where the folder itself comes from is not the job's to guarantee.
  std::vector<test::TracedCall> traced(const Ranks::Body& body, std::map<std::string, std::string>& expected) {
    fs::create_directories(dir_);
    Ranks whole(1);
    whole.plan(0).trace = ::open((scratch_.path / "trace").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    EXPECT_EQ(whole.run(dir_, body).front(), 0) << whole.said(0);
    ::close(whole.plan(0).trace);
    expected = test::contents(dir_);
    return test::read_trace(scratch_.path / "trace");
  }

  void sweep(size_t wanted, const Ranks::Body& body) {
    std::map<std::string, std::string> expected;
    const auto calls = traced(body, expected);
    std::vector<State> all;
    for (size_t n = 0; n <= calls.size(); ++n)
      for (const Survives what : {Survives::synchronised, Survives::names, Survives::half, Survives::bytes}) all.push_back({n, what});
    const auto states = test::spread(all, wanted);
    size_t applied = 0;
    Committed committed;
    DiskModel disk(dir_);
    for (const State& state : states) {
      for (; applied < state.calls; ++applied) {
        const auto& call = calls[applied];
        disk.apply(call);
        committed.see(call, dir_);
      }
      fs::remove_all(dir_);
      disk.materialise(dir_, state.what);
      const std::string where = "after " + std::to_string(state.calls) + " calls, way " + std::to_string(static_cast<int>(state.what));
      const auto newest = train::newest_checkpoint(dir_, core::Log());
      const std::string found = newest ? newest->filename().string() : "step-0";
      EXPECT_GE(std::stoll(found.substr(5)), 2 * committed.count()) << where;
      Ranks again(1);
      EXPECT_EQ(again.run(dir_, body).front(), 0) << where << ": " << again.said(0);
      EXPECT_EQ(test::difference(expected, test::contents(dir_)), "") << where;
    }
    std::printf("power loss | %zu calls | %zu states\n", calls.size(), states.size());
  }
};

TEST_F(PowerLoss, Training) { sweep(40, test::train_body(test::tiny_run_config(files_, dir_))); }
TEST_F(PowerLoss, Profiling) { sweep(40, test::profile_body(files_, dir_)); }

}  // namespace
}  // namespace mvrm
