// SPDX-License-Identifier: Apache-2.0
// The committed base of the demo does what configs/demo/README.md claims, on clips that it has never seen.
#include "tests/support/program.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace {

TEST(DemoBase, ReachesItsClaimOnFreshClips) {
  const mvrm::test::Scratch scratch("base");
  const std::string clips = (scratch.path / "clips").string();
  const auto synth = mvrm::test::run_program(MVRM_PROGRAM, "synth --out '" + clips + "' --videos 1 --test-videos 400 --seed 90210", scratch.path);
  ASSERT_EQ(synth.status, 0) << synth.err;
  const auto eval = mvrm::test::run_program(
      MVRM_PROGRAM, "eval spearman --json --model '" MVRM_SOURCE_DIR "/configs/demo/base' --data '" + clips + "/test.jsonl'", scratch.path);
  ASSERT_EQ(eval.status, 0) << eval.err;
  const auto result = nlohmann::json::parse(eval.out);
  for (const auto& [name, dimension] : result["dimensions"].items()) EXPECT_GE(dimension["spearman"].get<double>(), 0.95) << name;
}

}  // namespace
