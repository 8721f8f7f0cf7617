// SPDX-License-Identifier: Apache-2.0
// What make_context() sets in torch, and that the configuration's run.deterministic reaches it.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/run/process.h>
#include <mvrm/run/run_config.h>
#include <thread>

#include "tests/support/program.h"

namespace mvrm::run {
namespace {

class Process : public testing::Test {
 protected:
  void TearDown() override { at::globalContext().setDeterministicAlgorithms(false, false); }
  // Which of several writes to one place wins is nobody's promise: torch refuses it where bytes have to repeat.
  static bool refuses_what_does_not_repeat() {
    at::Tensor table = at::zeros({4});
    try {
      table.put_(at::tensor({1, 1}, at::kLong), at::tensor({2.0F, 3.0F}));
    } catch (const c10::Error&) {
      return true;
    }
    return false;
  }
};

TEST_F(Process, DeterministicRefusesWhatDoesNotRepeat) {
  make_context({.quiet = true, .deterministic = true});
  EXPECT_TRUE(at::globalContext().deterministicAlgorithms());
  EXPECT_FALSE(at::globalContext().deterministicAlgorithmsWarnOnly());
  EXPECT_TRUE(refuses_what_does_not_repeat());
  make_context({.quiet = true, .deterministic = false});
  EXPECT_FALSE(at::globalContext().deterministicAlgorithms());
  EXPECT_FALSE(refuses_what_does_not_repeat());
}

TEST_F(Process, EitherWayNothingDependsOnTheMoment) {
  for (const bool deterministic : {true, false}) {
    at::globalContext().setBenchmarkCuDNN(true);
    make_context({.quiet = true, .deterministic = deterministic});
    EXPECT_FALSE(at::globalContext().benchmarkCuDNN());
    EXPECT_FALSE(at::globalContext().deterministicFillUninitializedMemory());
    EXPECT_EQ(at::get_num_threads(), 1);
  }
}

TEST_F(Process, RunDeterministicIsAKeyOfTheConfiguration) {
  const test::Scratch scratch("process");
  const auto file = scratch.path / "run.yaml";
  std::ofstream(file) << "run: {dir: r}\nmodel: {path: m}\ndata: {train: t}\n";
  EXPECT_TRUE(load_run_config({file}, {}).run.deterministic);
  EXPECT_FALSE(load_run_config({file}, {"run.deterministic=false"}).run.deterministic);
  EXPECT_THROW(load_run_config({file}, {"run.deterministic=perhaps"}), core::ConfigError);
}

TEST_F(Process, WorkersAreANumberOrAuto) {
  EXPECT_EQ(make_context({.workers = "3", .quiet = true}).threads, 3);
  EXPECT_EQ(make_context({.workers = "auto", .local_ranks = 4096, .quiet = true}).threads, 1);
  for (const char* workers : {"0", "-1", "1025", "2 ", "many", ""}) EXPECT_THROW(make_context({.workers = workers, .quiet = true}), core::ConfigError) << workers;
}

TEST_F(Process, AllCoresGivesBackTheThreadsItFound) {
  make_context({.quiet = true});
  {
    const AllCores algebra;
    EXPECT_EQ(at::get_num_threads(), std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
  }
  EXPECT_EQ(at::get_num_threads(), 1);
}

}  // namespace
}  // namespace mvrm::run
