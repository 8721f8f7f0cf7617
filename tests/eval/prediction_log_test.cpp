// SPDX-License-Identifier: Apache-2.0
// A file of rows that grows, and is killed while it grows.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/eval/prediction_log.h>

#include <chrono>
#include <thread>

#include "tests/support/program.h"

namespace {

using namespace mvrm;

std::string line(int64_t n) { return "{\"id\": \"s" + std::to_string(n) + "\", \"scores\": {\"a\": " + std::to_string(n) + ".5, \"b\": null}, \"made_by\": \"m\"}\n"; }

TEST(PredictionLog, GoesOnBehindTheLastWholeRow) {
  const test::Scratch scratch("log");
  const auto path = scratch.path / "rows.jsonl";
  {
    eval::PredictionLog log(path, "m", {"a", "b"});
    EXPECT_TRUE(log.finished().empty());
    log.append(line(0));
    log.append(line(1));
    EXPECT_THROW(eval::PredictionLog(path, "m", {"a", "b"}), core::Error) << "two writers";
  }
  core::write_file_atomic(path, core::read_file(path) + "{\"id\": \"s2\", \"sco");
  {
    eval::PredictionLog log(path, "m", {"a", "b"});
    ASSERT_EQ(log.finished().size(), 2U);
    EXPECT_EQ(log.finished().at("s1")[0], 1.5);
    EXPECT_TRUE(std::isnan(log.finished().at("s1")[1]));
    log.append(line(2));
  }
  EXPECT_EQ(core::read_file(path), line(0) + line(1) + line(2));
}

TEST(PredictionLog, RowsWithoutAnyRewardAreNotFinished) {
  const test::Scratch scratch("log");
  const auto path = scratch.path / "rows.jsonl";
  core::write_file_atomic(path, line(0) + "{\"id\": \"bad\", \"scores\": {\"a\": null, \"b\": null}, \"made_by\": \"m\"}\n");
  const eval::PredictionLog log(path, "m", {"a", "b"});
  EXPECT_EQ(log.finished().size(), 1U);
  EXPECT_FALSE(log.finished().contains("bad"));
}

// A process that only writes rows is killed for real, ten times over; all rows but the last are whole and in order each time.
TEST(PredictionLog, KilledWriterLosesAtMostTheLastRow) {
  const test::Scratch scratch("log");
  const auto path = scratch.path / "rows.jsonl";
  size_t before = 0;
  for (int round = 0; round < 10; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      eval::PredictionLog log(path, "m", {"a", "b"});
      for (auto n = static_cast<int64_t>(log.finished().size());; ++n) log.append(line(n));
    }
    const auto grown = [&] { return std::filesystem::exists(path) && std::filesystem::file_size(path) > before + 2000; };
    for (int i = 0; i < 5000 && !grown(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const std::string content = core::read_file(path);
    const eval::PredictionLog log(path, "m", {"a", "b"});
    ASSERT_GT(log.finished().size(), before / 80);
    std::string expected;
    for (size_t n = 0; n < log.finished().size(); ++n) expected += line(static_cast<int64_t>(n));
    EXPECT_EQ(content.substr(0, expected.size()), expected);
    EXPECT_LT(content.size() - expected.size(), line(1'000'000).size());
    before = expected.size();
  }
}

}  // namespace
