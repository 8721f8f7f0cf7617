// SPDX-License-Identifier: Apache-2.0
#include <fstream>
#include <gtest/gtest.h>
#include <mvrm/config/yaml_reader.h>
#include <mvrm/core/error.h>

#include "tests/config/example_config.h"
#include "tests/support/program.h"

namespace {

using example::RunConfig;
using mvrm::config::load;
using mvrm::config::parse;
using mvrm::config::read;

RunConfig read_text(const std::string& text) {
  RunConfig config;
  read(parse(text, "a.yaml"), config);
  return config;
}
RunConfig with_override(const std::string& text) {
  RunConfig config;
  read(load({}, {"name=x", text}), config);
  return config;
}
// The message of the ConfigError that `call` throws; one line, always.
template <class Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const mvrm::core::ConfigError& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    EXPECT_EQ(error.status(), mvrm::core::ExitStatus::usage);
    return error.what();
  }
  return "no error";
}
std::string error_of_text(const std::string& text) {
  return error_of([&] { read_text(text); });
}

TEST(Config, ReadsWhatIsThereAndKeepsTheOtherDefaults) {
  const RunConfig config = read_text("name: run 1\noptimizer:\n  lr: 1e-5\n");
  EXPECT_EQ(config.name, "run 1");
  EXPECT_EQ(config.optimizer.lr, 1e-5);
  EXPECT_EQ(config.optimizer.steps, 64);
}

TEST(Config, TypesComeFromTheField) {
  const RunConfig config = read_text(
      "name: no\nflag: no\nwhere: 010\nseed: 18446744073709551615\nlimit: 7\nbetas: [0.9, +1e-3]\nwords: [yes, '8']\n"
      "thresholds: {visual quality: .5}\noptimizer: {steps: 65, lr: 2}\n");
  EXPECT_EQ(config.name, "no");
  EXPECT_FALSE(config.flag);
  EXPECT_EQ(config.where, "010");
  EXPECT_EQ(config.seed, 18446744073709551615U);
  EXPECT_EQ(config.limit, 7);
  EXPECT_EQ(config.betas, (std::vector<double>{0.9, 1e-3}));
  EXPECT_EQ(config.words, (std::vector<std::string>{"yes", "8"}));
  EXPECT_EQ(config.thresholds.at("visual quality"), 0.5);
  EXPECT_EQ(config.optimizer.steps, 65);
  EXPECT_EQ(config.optimizer.lr, 2.0);
  EXPECT_EQ(read_text("{name: x, limit: null}").limit, std::nullopt);
}

TEST(Config, AlphaIsANumberAMapOrAWord) {
  EXPECT_EQ(read_text("{name: x, alpha: 0.5}").alpha.scalar, 0.5);
  const auto map = read_text("{name: x, alpha: {visual quality: 0.1, motion: 2}}").alpha;
  EXPECT_EQ(map.map, (std::map<std::string, double>{{"visual quality", 0.1}, {"motion", 2}}));
  EXPECT_FALSE(map.scalar.has_value());
  EXPECT_EQ(read_text("{name: x, alpha: auto}").alpha.word, "auto");
  EXPECT_EQ(error_of_text("name: x\nalpha: aut\n"), "a.yaml:2:8: alpha: must be one of auto, map, got 'aut'; did you mean 'auto'?");
  EXPECT_EQ(error_of_text("name: x\nalpha: 0.5x\n"), "a.yaml:2:8: alpha: must be a number, got '0.5x'");
  EXPECT_EQ(error_of_text("name: x\nalpha: -1\n"), "a.yaml:2:8: alpha: must be >= 0, got '-1'");
  EXPECT_EQ(error_of_text("name: x\nalpha: {a: -1}\n"), "a.yaml:2:12: alpha.a: must be >= 0, got '-1'");
  EXPECT_EQ(error_of_text("name: x\nalpha: {}\n"), "a.yaml:2:8: alpha: the mapping is empty");
}

TEST(Config, UnknownKeyNamesTheKnownOnesAndTheNearest) {
  EXPECT_EQ(error_of_text("name: x\noptimizer:\n  stpes: 3\n"),
            "a.yaml:3:3: optimizer.stpes: unknown key; known keys: lr, steps, kind, momentum; did you mean 'steps'?");
  EXPECT_NE(error_of_text("name: x\nlr: 3\n").find("a.yaml:2:1: lr: unknown key"), std::string::npos);
  EXPECT_NE(error_of_text("name: x\nlr: 3\n").find("did you mean 'optimizer.lr'?"), std::string::npos);
  EXPECT_EQ(error_of_text("optimizer: {zzzzzz: 1}").find("did you mean"), std::string::npos);
  // A misspelt required key is reported as misspelt, not as missing.
  EXPECT_NE(error_of_text("nmae: x\n").find("did you mean 'name'?"), std::string::npos);
}

TEST(Config, ChecksNameTheValue) {
  EXPECT_EQ(error_of_text("name: x\noptimizer: {lr: -2}"), "a.yaml:2:17: optimizer.lr: must be > 0, got '-2'");
  EXPECT_EQ(error_of_text("name: x\noptimizer: {lr: 0}"), "a.yaml:2:17: optimizer.lr: must be > 0, got '0'");
  EXPECT_EQ(error_of_text("name: x\noptimizer: {steps: 0}"), "a.yaml:2:20: optimizer.steps: must be >= 1, got '0'");
  EXPECT_EQ(error_of_text("name: x\noptimizer: {momentum: 1.5}"), "a.yaml:2:23: optimizer.momentum: must be between 0 and 1, got '1.5'");
  EXPECT_EQ(error_of_text("name: x\noptimizer: {kind: cosin}"),
            "a.yaml:2:19: optimizer.kind: must be one of cosine, linear, got 'cosin'; did you mean 'cosine'?");
  EXPECT_EQ(error_of_text("name: x\nbetas: [0.9, 2]"), "a.yaml:2:14: betas[1]: must be between 0 and 1, got '2'");
  EXPECT_EQ(read_text("{name: x, optimizer: {momentum: 1, steps: 1}}").optimizer.momentum, 1.0);   // both ends belong to the range
}

TEST(Config, RequiredKeysMustBeThere) {
  EXPECT_EQ(error_of_text("flag: true\n"), "a.yaml: name: required key is missing (name of the run); add it or pass --set name=…");
  EXPECT_EQ(error_of_text("name: ''\n"), "a.yaml:1:7: name: must not be empty");
}

TEST(Config, OverridesReachEveryKey) {
  EXPECT_EQ(with_override("optimizer.lr=3e-6").optimizer.lr, 3e-6);
  EXPECT_EQ(with_override("thresholds.visual quality=0.25").thresholds.at("visual quality"), 0.25);
  EXPECT_EQ(with_override("alpha={visual quality: 0.1}").alpha.map.at("visual quality"), 0.1);
  EXPECT_EQ(with_override("betas=[0.5, 0.6]").betas, (std::vector<double>{0.5, 0.6}));
  EXPECT_EQ(with_override("where=/tmp/a=b #1: *x").where, "/tmp/a=b #1: *x");   // not YAML: taken as it stands
  EXPECT_EQ(with_override("where=").where, "");
  EXPECT_EQ(with_override("where=\"a\\x20b\"").where, "a b");
}

TEST(Config, OverrideErrorsNameTheOverride) {
  EXPECT_EQ(error_of([] { with_override("optimizer.lr=-2"); }), "--set optimizer.lr: must be > 0, got '-2'");
  EXPECT_EQ(error_of([] { with_override("alpha={a: -1}"); }), "--set alpha: alpha.a: must be >= 0, got '-1'");
  EXPECT_EQ(error_of([] { with_override("optimizer.lrr=1"); }),
            "--set optimizer.lrr: unknown key; known keys: lr, steps, kind, momentum; did you mean 'lr'?");
  EXPECT_EQ(error_of([] { with_override("optimizer.lr"); }), "--set 'optimizer.lr': expected key.path=value");
  for (const char* bad : {"=1", ".lr=1", "optimizer.=1", "optimizer..lr=1"})
    EXPECT_NE(error_of([&] { with_override(bad); }).find("an empty key"), std::string::npos) << bad;
  EXPECT_NE(error_of([] { with_override("where=[1"); }).find("--set where: not YAML"), std::string::npos);
  EXPECT_EQ(error_of([] { with_override("where='a"); }), "--set where: a quote is never closed");
  EXPECT_NE(error_of([] { with_override("where=\xff"); }).find("invalid UTF-8"), std::string::npos);
}

TEST(Config, FilesMergeLeftToRight) {
  const mvrm::test::Scratch scratch("config");
  const auto& folder = scratch.path;
  std::ofstream(folder / "a.yaml") << "name: a\nbetas: [0.1, 0.2]\noptimizer: {lr: 1, steps: 5}\nthresholds: {x: 1}\n";
  std::ofstream(folder / "b.yaml") << "# comment\nname: b\nbetas: [0.3]\noptimizer: {steps: 6}\nthresholds: {y: 2}\n";
  std::ofstream(folder / "c.yaml") << "optimizer:\n  # steps: 7\n";
  std::ofstream(folder / "d.yaml") << "optimizer: {steps: 0}\n";
  RunConfig config;
  read(load({folder / "a.yaml", folder / "b.yaml", folder / "c.yaml"}, {"name=c"}), config);
  EXPECT_EQ(config.name, "c");
  EXPECT_EQ(config.betas, (std::vector<double>{0.3}));   // lists are replaced, maps merged
  EXPECT_EQ(config.optimizer.lr, 1);
  EXPECT_EQ(config.optimizer.steps, 6);
  EXPECT_EQ(config.thresholds, (std::map<std::string, double>{{"x", 1}, {"y", 2}}));
  const std::string message = error_of([&] { read(load({folder / "a.yaml", folder / "d.yaml"}, {}), config); });
  EXPECT_EQ(message, (folder / "d.yaml").string() + ":1:20: optimizer.steps: must be >= 1, got '0'");
  EXPECT_NE(error_of([&] { load({folder / "absent.yaml"}, {}); }).find("absent.yaml: can't open"), std::string::npos);
}

TEST(Config, ResolvedTreeReadsBackToTheSameBytes) {
  RunConfig config = read_text(
      "{name: 'a: \"b\" #\\\\\n\n c', alpha: {visual quality: 0.1}, betas: [0.1, 1e-8], words: ['', null x, -], limit: 3}");
  config.where = "-\t~";
  const std::string text = mvrm::config::to_yaml(config);
  const RunConfig again = read_text(text);
  EXPECT_EQ(again.name, config.name);
  EXPECT_EQ(again.where, config.where);
  EXPECT_EQ(again.words, config.words);
  EXPECT_EQ(again.alpha.map, config.alpha.map);
  EXPECT_EQ(mvrm::config::to_yaml(again), text);
}

TEST(Config, ResolvedTreeIsWrittenInTheOrderOfDescription) {
  RunConfig config;
  config.name = "null";
  EXPECT_EQ(mvrm::config::to_yaml(config),
            "name: \"null\"\nflag: true\nwhere: \"\"\nseed: 42\nlimit: null\nbetas: [0.9, 0.999]\nwords: []\nthresholds: {}\nalpha: 0.5\n"
            "optimizer:\n  lr: 1e-05\n  steps: 64\n  kind: cosine\n  momentum: 0\n");
}

TEST(Config, DocumentationListsEveryKey) {
  const std::string text = mvrm::config::to_markdown(RunConfig{});
  EXPECT_NE(text.find("| `name` | text | **required** | name of the run |\n"), std::string::npos) << text;
  EXPECT_NE(text.find("## `optimizer`: how parameters move\n"), std::string::npos);
  EXPECT_NE(text.find("| `lr` | number, > 0 | `1e-05` | learning rate |\n"), std::string::npos);
  EXPECT_NE(text.find("| `kind` | text: cosine, linear | `cosine` | a \\| b |\n"), std::string::npos);
  EXPECT_NE(text.find("| `momentum` | number, 0 to 1 | `0` |"), std::string::npos);
}

}  // namespace
