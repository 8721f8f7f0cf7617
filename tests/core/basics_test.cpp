// SPDX-License-Identifier: Apache-2.0
// Errors, shapes, random numbers, logs and progress.
#include <ATen/ATen.h>
#include <cmath>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/log.h>
#include <mvrm/core/progress.h>
#include <mvrm/core/random.h>
#include <mvrm/core/tensor.h>
#include <set>
#include <thread>

#include "tests/support/program.h"

namespace {

using mvrm::core::CounterRng;
using mvrm::test::Scratch;

template <class Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const mvrm::core::Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Error, ABrokenContractShowsItsValues) {
  const int a = 1, b = 2;
  const std::string message = error_of([&] { MVRM_CHECK(a == b, "sizes differ: ", a, " and ", b); });
  EXPECT_EQ(message.rfind("sizes differ: 1 and 2 (a == b is false at basics_test.cpp:", 0), 0U) << message;
  EXPECT_NO_THROW(MVRM_CHECK(a < b, "never shown"));
}

TEST(Tensor, AWrongShapeIsNamed) {
  const at::Tensor pixels_CHW = at::zeros({3, 98, 97});
  EXPECT_NO_THROW(mvrm::core::check_shape(pixels_CHW, {3, -1, 97}, "pixels"));
  EXPECT_EQ(error_of([&] { mvrm::core::check_shape(pixels_CHW, {3, -1, 98}, "pixels"); }),
            "pixels: expected shape [3, any, 98], got [3, 98, 97]");
  EXPECT_EQ(error_of([&] { mvrm::core::check_shape(pixels_CHW, {3, 98}, "pixels"); }), "pixels: expected shape [3, 98], got [3, 98, 97]");
  EXPECT_EQ(error_of([] { mvrm::core::check_shape({}, {1}, "pixels"); }), "pixels: expected shape [1], got no tensor");
  EXPECT_EQ(mvrm::core::shape_text({}), "[]");
}

// The first outputs of the published SplitMix64 for seed 1234567 are mix64 of the seed plus multiples of its increment.
TEST(Random, Mix64IsTheFinaliserOfSplitMix64) {
  constexpr uint64_t kIncrement = 0x9e3779b97f4a7c15ULL;
  EXPECT_EQ(mvrm::core::mix64(1234567 + kIncrement), 6457827717110365317ULL);
  EXPECT_EQ(mvrm::core::mix64(1234567 + 2 * kIncrement), 3203168211198807973ULL);
  EXPECT_EQ(mvrm::core::mix64(1234567 + 3 * kIncrement), 9817491932198370423ULL);
}

TEST(Random, AStreamDependsOnSeedAndNameOnly) {
  CounterRng one(42, "shuffle"), same(42, "shuffle"), other(42, "noise"), reseeded(43, "shuffle");
  const uint64_t first = one.next();
  EXPECT_EQ(first, same.next());
  EXPECT_NE(first, other.next());
  EXPECT_NE(first, reseeded.next());
  CounterRng copy = one;
  EXPECT_EQ(copy.next(), one.next());
  EXPECT_NE(mvrm::core::combine64(1, 2), mvrm::core::combine64(2, 1));
}

TEST(Random, UniformAndNormalHaveTheirMoments) {
  CounterRng rng(7, "moments");
  constexpr int kDraws = 200'000;
  double sum = 0, square_sum = 0, normal_sum = 0, normal_square_sum = 0;
  std::set<int64_t> values;
  for (int i = 0; i < kDraws; ++i) {
    const double u = rng.uniform(), n = rng.normal();
    ASSERT_TRUE(u >= 0 && u < 1 && std::isfinite(n));
    sum += u, square_sum += u * u, normal_sum += n, normal_square_sum += n * n;
    values.insert(rng.below(5));
  }
  // Five standard errors around 1/2, 1/3, 0 and 1.
  EXPECT_NEAR(sum / kDraws, 0.5, 5 * 0.2887 / std::sqrt(kDraws));
  EXPECT_NEAR(square_sum / kDraws, 1.0 / 3, 5 * 0.2981 / std::sqrt(kDraws));
  EXPECT_NEAR(normal_sum / kDraws, 0, 5 / std::sqrt(kDraws));
  EXPECT_NEAR(normal_square_sum / kDraws, 1, 5 * std::sqrt(2.0) / std::sqrt(kDraws));
  EXPECT_EQ(values, (std::set<int64_t>{0, 1, 2, 3, 4}));
}

TEST(Log, StderrHasLevelsAndTheFileHasTimesToo) {
  const Scratch scratch("log");
  testing::internal::CaptureStderr();
  const auto log = mvrm::core::Log::to_stderr("rank 1: ").with_file(scratch.path / "log.txt");
  const auto copy = log;
  copy.info("100 % {}");   // copies share the file; nothing is a format string
  copy.debug("detail");
  copy.warn("careful");
  copy.error("broken");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "[info] rank 1: 100 % {}\n[warning] rank 1: careful\n[error] rank 1: broken\n");
  const std::string text = mvrm::core::read_file(scratch.path / "log.txt");
  EXPECT_NE(text.find(" [info] rank 1: 100 % {}\n"), std::string::npos) << text;
  EXPECT_NE(text.find(" [debug] rank 1: detail\n"), std::string::npos) << text;
  EXPECT_EQ(text.rfind("20", 0), 0U);   // each line opens with its date
}

TEST(Log, ADefaultLogIsSilentAndFilesAppend) {
  const Scratch scratch("log2");
  testing::internal::CaptureStderr();
  mvrm::core::Log().error("nobody hears this");
  for (int i = 0; i < 2; ++i) {
    const auto log = mvrm::core::Log().with_file(scratch.path / "log.txt");
    std::thread first([&] { for (int k = 0; k < 100; ++k) log.info("a line"); });
    std::thread second([&] { for (int k = 0; k < 100; ++k) log.info("a line"); });
    first.join();
    second.join();
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  const std::string text = mvrm::core::read_file(scratch.path / "log.txt");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 400);
  EXPECT_THROW(mvrm::core::Log().with_file(scratch.path), mvrm::core::Error);   // a folder
}

TEST(Log, AFileHearsItsOwnRunAndWhatIsBelowIt) {
  const Scratch scratch("log3");
  testing::internal::CaptureStderr();
  const auto terminal = mvrm::core::Log::to_stderr(), run = terminal.with_file(scratch.path / "run.txt");
  const auto baseline = run.with_file(scratch.path / "baseline.txt"), next = terminal.with_file(scratch.path / "next.txt");
  run.info("of the run");
  baseline.info("of the baseline");
  next.info("of the next");
  baseline.error_to_file("the end of the baseline");
  mvrm::core::Log().error_to_file("nobody hears this");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "[info] of the run\n[info] of the baseline\n[info] of the next\n");
  const auto words = [&](const char* name) {   // without times
    std::istringstream lines(mvrm::core::read_file(scratch.path / name));
    std::string text;
    for (std::string line; std::getline(lines, line);) text += line.substr(line.find(' ') + 1) + "\n";
    return text;
  };
  EXPECT_EQ(words("run.txt"), "[info] of the run\n[info] of the baseline\n");
  EXPECT_EQ(words("baseline.txt"), "[info] of the baseline\n[error] the end of the baseline\n");
  EXPECT_EQ(words("next.txt"), "[info] of the next\n");
}

TEST(Progress, TheLastStateIsAPlainLineAwayFromATerminal) {
  testing::internal::CaptureStderr();
  {
    mvrm::core::Progress progress("train", 4, true);
    for (int i = 0; i < 4; ++i) progress.advance(1, "loss 0.5");
    mvrm::core::Progress silent("nothing", 4, false);
    silent.advance();
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "train 4/4, 0:00, loss 0.5\n");
}

}  // namespace
