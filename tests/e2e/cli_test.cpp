// SPDX-License-Identifier: Apache-2.0
// What a person types, and the mistakes a person makes: exit statuses and one-line messages.
#include "tests/support/program.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace {

using mvrm::test::Outcome;
using mvrm::test::Scratch;

Outcome mvrm_(const std::string& arguments, const Scratch& scratch) { return mvrm::test::run_program(MVRM_PROGRAM, arguments, scratch.path); }

void expect_one_line(const Outcome& outcome, int status, const std::vector<std::string>& parts) {
  EXPECT_EQ(outcome.status, status) << outcome.err;
  std::string last = outcome.err;
  while (!last.empty() && last.back() == '\n') last.pop_back();
  const auto line_start = last.rfind('\n');
  if (line_start != std::string::npos) last = last.substr(line_start + 1);
  EXPECT_EQ(last.rfind("mvrm: error: ", 0), 0U) << outcome.err;
  for (const auto& part : parts) EXPECT_NE(last.find(part), std::string::npos) << "no '" << part << "' in: " << last;
}

TEST(Cli, HelpOfEveryCommandShowsUsageAndExample) {
  const Scratch scratch("help");
  const Outcome help = mvrm_("--help", scratch);
  EXPECT_EQ(help.status, 0);
  for (const std::string command : {"demo", "synth", "train", "profile", "refine", "score", "eval spearman", "data check", "data convert", "whatif", "explain", "eval genai-bench", "eval vbench", "eval verdicts", "eval compare", "estimate", "info"}) {
    const Outcome one = mvrm_(command + " --help", scratch);
    EXPECT_EQ(one.status, 0) << command;
    EXPECT_NE(one.out.find("Example: mvrm " + command), std::string::npos) << one.out;
  }
  EXPECT_EQ(mvrm_("", scratch).status, 2);
}

TEST(Cli, UsageErrorsNameTheHelp) {
  const Scratch scratch("usage");
  expect_one_line(mvrm_("trian", scratch), 2, {"unknown command 'trian'", "train"});
  expect_one_line(mvrm_("profile --modle x", scratch), 2, {"mvrm profile", "--help"});
  expect_one_line(mvrm_("score --model x", scratch), 2, {"--data", "--video"});
  expect_one_line(mvrm_("refine --profile nowhere --strategy ddp --out p", scratch), 3, {"nowhere"});
}

TEST(Cli, ConfigErrorNamesPlaceKeyAndSuggestion) {
  const Scratch scratch("config");
  std::ofstream(scratch.path / "a.yaml") << "run: {dir: r}\nmodel: {path: m}\ndata: {train: t}\noptimizer:\n  lrr: 1e-5\n";
  expect_one_line(mvrm_("train --config '" + (scratch.path / "a.yaml").string() + "'", scratch), 2,
                  {"a.yaml:5:3", "optimizer.lrr", "did you mean 'lr'", "clip_norm"});
  expect_one_line(mvrm_("train --config '" + (scratch.path / "missing.yaml").string() + "'", scratch), 2, {"missing.yaml"});
}

TEST(Cli, InfoPrintsVersionsAsJson) {
  const Scratch scratch("info");
  const Outcome info = mvrm_("info --json", scratch);
  EXPECT_EQ(info.status, 0) << info.err;
  EXPECT_NE(info.out.find("\"torch\": \"2."), std::string::npos) << info.out;
}

}  // namespace
