// SPDX-License-Identifier: Apache-2.0
// The commands under "Use it" in README.md run as they stand, in their order; only the numbers of clips and epochs are made smaller here.
#include "tests/support/program.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace {

namespace fs = std::filesystem;

std::string block_after(const std::string& text, const std::string& heading) {
  const size_t section = text.find("\n" + heading + "\n");
  const size_t begin = text.find("\n```\n", section) + 5, end = text.find("\n```", begin);
  return section == std::string::npos || end == std::string::npos ? "" : text.substr(begin, end - begin) + "\n";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << "README.md no longer says " << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(Readme, CommandsRunAsTheyStand) {
  const mvrm::test::Scratch scratch("readme");
  std::string commands = block_after(mvrm::test::slurp(MVRM_SOURCE_DIR "/README.md"), "## Use it");
  ASSERT_FALSE(commands.empty());
  commands = replaced(commands, "alias mvrm=build/release/apps/mvrm/mvrm", "mvrm() { '" MVRM_PROGRAM "' \"$@\"; }");
  commands = replaced(commands, "--videos 200", "--videos 24");
  commands = replaced(commands, "train.epochs=3", "train.epochs=1");
  fs::create_directory_symlink(MVRM_SOURCE_DIR "/configs", scratch.path / "configs");
  std::ofstream(scratch.path / "commands.sh") << "set -e\ncd '" << scratch.path.string() << "'\n" << commands;
  const auto outcome = mvrm::test::run_program("/bin/bash", "'" + (scratch.path / "commands.sh").string() + "'", scratch.path);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(fs::exists(scratch.path / "runs/pruned/model/model.safetensors"));
  const size_t json = outcome.out.rfind("\n{");
  ASSERT_NE(json, std::string::npos) << outcome.out;
  EXPECT_EQ(nlohmann::json::parse(outcome.out.substr(json))["results"].size(), 30U) << "one row for every clip of the folder";
}

}  // namespace
