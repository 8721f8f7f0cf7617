// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>
#include <memory>
#include <string>

#include "tests/support/program.h"

namespace mvrm::test {

// A suite whose tests start the program in one scratch folder, which SetUpTestSuite() opens and fills: `class Score : public ProgramSuite<Score>`.
template <class Suite> class ProgramSuite : public testing::Test {
 protected:
  static void open(const char* name) { scratch_ = std::make_unique<Scratch>(name); }
  static void TearDownTestSuite() { scratch_.reset(); }
  static std::string at(const std::string& name) { return (scratch_->path / name).string(); }
  static Outcome run(const std::string& arguments) { return run_program(MVRM_PROGRAM, arguments, scratch_->path); }

 private:
  static inline std::unique_ptr<Scratch> scratch_;
};

}  // namespace mvrm::test
