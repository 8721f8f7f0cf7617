// SPDX-License-Identifier: Apache-2.0
// A job that is killed at any of its writes loses nothing (spec/reliability.md R1): killed at call n, started again, the same bytes as
// the job that nobody killed. MVRM_CRASH_SWEEP=all: every call; else points spread evenly.
#include <gtest/gtest.h>
#include <mvrm/train/checkpoint.h>

#include "tests/reliability/jobs.h"

namespace mvrm {
namespace {

namespace fs = std::filesystem;
using test::FaultKind;
using test::FaultPlan;
using test::Ranks;

struct Point { int64_t rank = 0, call = 0; FaultKind kind = FaultKind::kill; };

std::string text_of(const Point& point) {
  return std::string(point.kind == FaultKind::torn ? "torn" : "killed") + " at call " + std::to_string(point.call) + " of rank " + std::to_string(point.rank);
}

// Every call of every rank, killed before it and in the middle of it; `wanted` of them unless all are asked for.
std::vector<Point> points_of(const std::vector<int64_t>& calls, size_t wanted) {
  std::vector<Point> all;
  for (size_t r = 0; r < calls.size(); ++r)
    for (int64_t n = 1; n <= calls[r]; ++n)
      for (const FaultKind kind : {FaultKind::kill, FaultKind::torn}) all.push_back({static_cast<int64_t>(r), n, kind});
  return test::spread(all, wanted);
}

class CrashSweep : public testing::Test {
 protected:
  test::Scratch scratch_{"crash_sweep"};
  test::TinyJobFiles files_{scratch_.path};
  const bool warm_ = test::warm_up(files_, scratch_.path / "warm_up");
  const fs::path dir_ = scratch_.path / "job";

  // `body(dir)` is the job that writes to dir. `checked` is called between kill and resume.
  void sweep(int64_t ranks, bool whole_group, size_t wanted, const std::function<Ranks::Body(const fs::path&)>& body,
             const std::function<void(const FaultPlan&, const std::string&)>& checked) {
    const auto begin = std::chrono::steady_clock::now();
    const std::vector<int> done(static_cast<size_t>(ranks), 0);
    Ranks whole(ranks);
    ASSERT_EQ(whole.run(dir_, body(dir_), 60), done) << whole.said(0);
    const auto expected = test::contents(dir_);
    std::vector<int64_t> calls;
    for (int64_t r = 0; r < ranks; ++r) calls.push_back(whole.plan(r).calls);
    const auto points = points_of(calls, wanted);
    size_t killed = 0, same = 0;
    for (const Point& point : points) {
      fs::remove_all(dir_);
      Ranks job(ranks);
      FaultPlan& plan = job.plan(point.rank);
      plan.at = point.call;
      plan.kind = point.kind;
      plan.whole_group = whole_group;
      const auto statuses = job.run(dir_, body(dir_));
      const bool fell = statuses[static_cast<size_t>(point.rank)] == 128 + SIGKILL;   // else the call never came (see below)
      killed += fell ? 1 : 0;
      if (!whole_group) {
        for (size_t r = 0; r < statuses.size(); ++r) {
          EXPECT_TRUE(static_cast<int64_t>(r) == point.rank || statuses[r] == (fell ? 7 : 0)) << text_of(point) << ": " << statuses[r];
        }
      }
      if (fs::exists(dir_)) checked(plan, text_of(point));
      Ranks again(ranks);
      EXPECT_EQ(again.run(dir_, body(dir_)), done) << text_of(point) << ": " << again.said(0);
      const std::string differs = test::difference(expected, test::contents(dir_));
      EXPECT_EQ(differs, "") << text_of(point);
      same += differs.empty() ? 1 : 0;
    }
    // The background writer may make a few calls more or less beside the loop, on a busy machine above all: the last ones may not come.
    EXPECT_GE(killed + 4 + points.size() / 100, points.size());
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::string counted;
    for (const int64_t n : calls) counted += (counted.empty() ? "" : " + ") + std::to_string(n);
    std::printf("crash sweep | %lld ranks | %s calls | %zu points, %zu killed, %zu with the same bytes | %.1f s\n", static_cast<long long>(ranks),
                counted.c_str(), points.size(), killed, same, seconds);
  }
  std::function<Ranks::Body(const fs::path&)> training() {
    return [this](const fs::path& dir) { return test::train_body(test::tiny_run_config(files_, dir)); };
  }
  std::function<Ranks::Body(const fs::path&)> profiling() {
    return [this](const fs::path& dir) { return test::profile_body(files_, dir); };
  }
  // What was put in place by a rename is there and whole: nobody has to wait for the resume to know.
  void newest_is_committed(const FaultPlan& plan, const std::string& where) const {
    const auto newest = train::newest_checkpoint(dir_, core::Log());
    EXPECT_EQ(newest ? newest->filename().string() : "none", plan.commits == 0 ? "none" : "step-" + std::to_string(2 * plan.commits)) << where;
  }
};

TEST_F(CrashSweep, TrainingOnOneRank) {
  sweep(1, true, 40, training(), [&](const FaultPlan& plan, const std::string& where) { newest_is_committed(plan, where); });
}

TEST_F(CrashSweep, TrainingOnTwoRanks) {
  sweep(2, true, 40, training(), [&](const FaultPlan&, const std::string& where) {
    std::error_code absent;
    for (const auto& entry : fs::directory_iterator(dir_ / "checkpoints", absent)) {
      if (!entry.path().filename().string().starts_with("step-")) continue;
      EXPECT_TRUE(train::newest_checkpoint(dir_, core::Log())) << where;
    }
  });
}

TEST_F(CrashSweep, TrainingWhereOneOfTwoRanksIsKilled) {
  sweep(2, false, 2, training(), [](const FaultPlan&, const std::string&) {});
}

TEST_F(CrashSweep, TrainingWithAFrameCache) {
  const auto body = [this](const fs::path& dir) {
    run::RunConfig config = test::tiny_run_config(files_, dir);
    config.data.cache = dir / "cache";
    return test::train_body(config);
  };
  sweep(1, true, 24, body, [&](const FaultPlan& plan, const std::string& where) { newest_is_committed(plan, where); });
}

// Nothing but people writes corrections.jsonl; what a run makes of it is its plan.
TEST_F(CrashSweep, TrainingOnCorrectedLabels) {
  const fs::path corrections = scratch_.path / "corrections.jsonl";
  std::ofstream(corrections) << R"({"id": "s0", "dimension": "dimension 0", "old": 1, "new": 4})" "\n" R"({"id": "s2", "dimension": "dimension 1", "old": 3, "new": null})" "\n";
  const std::string written = test::slurp(corrections);
  const auto body = [&](const fs::path& dir) {
    run::RunConfig config = test::tiny_run_config(files_, dir);
    config.refine.strategy = "correction";
    config.refine.corrections = corrections;
    return test::train_body(config);
  };
  sweep(1, true, 16, body, [&](const FaultPlan& plan, const std::string& where) {
    newest_is_committed(plan, where);
    EXPECT_EQ(test::slurp(corrections), written) << where;
  });
}

TEST_F(CrashSweep, ProfilingOnOneRank) {
  sweep(1, true, 40, profiling(), [](const FaultPlan&, const std::string&) {});
}

TEST_F(CrashSweep, ProfilingOnTwoRanks) {
  sweep(2, true, 40, profiling(), [](const FaultPlan&, const std::string&) {});
}

}  // namespace
}  // namespace mvrm
