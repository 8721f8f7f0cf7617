// SPDX-License-Identifier: Apache-2.0
// Inputs that YAML accepts and that surprise, or that are made to hurt; each is refused with one line that says where and why.
#include <fstream>
#include <gtest/gtest.h>
#include <mvrm/config/yaml_reader.h>
#include <mvrm/core/error.h>
#include <ostream>

#include "tests/config/example_config.h"
#include "tests/support/program.h"

namespace {

std::string repeated(const std::string& text, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) result += text;
  return result;
}
// Nine levels of nine aliases each: 9^9 values once unfolded.
std::string billion_laughs() {
  std::string text = "a0: &a0 [1,1,1,1,1,1,1,1,1]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string level = std::to_string(i), below = std::to_string(i - 1);
    text += "a" + level + ": &a" + level + " [" + repeated("*a" + below + ",", 8) + "*a" + below + "]\n";
  }
  return text;
}

struct Trap {
  const char* name;
  std::string text;
  std::string message;   // how the error begins, behind "a.yaml:"
};
void PrintTo(const Trap& trap, std::ostream* out) { *out << trap.name; }

class YamlTrap : public testing::TestWithParam<Trap> {};

TEST_P(YamlTrap, IsRefusedInOneLine) {
  example::RunConfig config;
  try {
    mvrm::config::read(mvrm::config::parse(GetParam().text, "a.yaml"), config);
  } catch (const mvrm::core::ConfigError& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.rfind("a.yaml:" + GetParam().message, 0), 0U) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LT(message.size(), 400U);
    return;
  }
  FAIL() << "accepted";
}

const Trap kTraps[] = {
    {"DuplicateKey", "name: x\noptimizer:\n  lr: 1\n  steps: 2\n  lr: 3\n", "5:3: optimizer.lr: duplicate key, first given at a.yaml:3:3"},
    {"DuplicateQuotedKey", "name: x\n'name': y\n", "2:1: name: duplicate key"},
    {"DuplicateFlowKey", "{name: x, name: y}", "1:11: name: duplicate key"},
    {"InvalidUtf8", "name: \xff\n", "1:7: invalid UTF-8"},
    {"OverlongUtf8", "name: \xc0\xaf\n", "1:7: invalid UTF-8"},
    {"Surrogate", "name: \xed\xa0\x80\n", "1:7: invalid UTF-8"},
    {"CutUtf8", "name: \xe2\x82", "1:7: invalid UTF-8"},
    {"Latin1", "name: caf\xe9\n", "1:10: invalid UTF-8"},
    {"Utf16", std::string("\xff\xfen\0a\0", 6), "1:1: invalid UTF-8"},
    {"Nul", std::string("name: a\0b\n", 10), "1:8: NUL byte"},
    {"ControlCharacter", "name: a\x01\n", "1:8: control character"},
    {"Cycle", "a: &a [*a]\n", "1:8: a: an alias inside the value that it stands for"},
    {"CycleThroughMap", "name: x\noptimizer: &o\n  lr: *o\n", "3:7: optimizer.lr: an alias inside the value"},
    {"BillionLaughs", billion_laughs(), "5:"},
    {"UnknownAlias", "name: *nowhere\n", "1:7: not YAML"},
    {"TooManyValues", "words: [" + repeated("a,", 10'000) + "a]\n", "1:"},
    {"DeepFlow", "words: " + repeated("[", 3000) + repeated("]", 3000), "1:71: nested deeper than 64 levels"},
    {"DeepFlowMaps", repeated("{a: ", 100) + repeated("}", 100), "1:257: nested deeper than 64 levels"},
    {"DeepBlock", "words:\n  " + repeated("- ", 300) + "a\n", "2:"},
    {"DeepByAlias", "a: &a " + repeated("[", 40) + repeated("]", 40) + "\nb: " + repeated("[", 40) + "*a" + repeated("]", 40),
     "2:44: nested"},
    {"MergeKey", "base: &b {lr: 1}\noptimizer:\n  <<: *b\n", "3:3: optimizer: merge keys (<<) aren't supported"},
    {"TabIndentation", "name: x\noptimizer:\n\tlr: 1\n", "3:1: tab in the indentation; use spaces"},
    {"TabAfterSpaces", "optimizer:\n  \tlr: 1\n", "2:3: tab in the indentation"},
    {"SecondDocument", "name: x\n---\nname: y\n", "2:"},
    {"ListRoot", "- name\n", "1:1: the file must be a mapping"},
    {"ScalarRoot", "name\n", "1:1: the file must be a mapping"},
    {"NullRoot", "~\n", "1:1: the file must be a mapping"},
    {"NullScalar", "name:\nflag: true\n", "1:1: name: must be a text, got nothing (null)"},
    {"TildeForNumber", "name: x\nseed: ~\n", "2:1: seed: must be an integer of at least 0, got nothing (null)"},
    {"NullAlpha", "name: x\nalpha:\n", "2:1: alpha: must be a number, a mapping or a word, got nothing (null)"},
    {"ListKey", "[a, b]: 1\n", "1:1: a key must be a text"},
    {"NullKey", "~: 1\n", "1:1: a key must not be null"},
    {"Tag", "name: !!python/object x\n", "1:7: name: the tag"},
    {"LocalTag", "name: !secret x\n", "1:7: name: the tag"},
    {"Octal", "{name: x, seed: 010}", "1:17: seed: must be a number without leading zeros"},
    {"YamlOctal", "{name: x, seed: 0o10}", "1:17: seed: must be an integer"},
    {"Hexadecimal", "{name: x, seed: 0x10}", "1:17: seed: must be an integer"},
    {"Fraction", "{name: x, optimizer: {steps: 64.5}}", "1:30: optimizer.steps: must be an integer, got '64.5'"},
    {"Exponent", "{name: x, optimizer: {steps: 1e3}}", "1:30: optimizer.steps: must be an integer, got '1e3'"},
    {"Underscores", "{name: x, optimizer: {steps: 1_000}}", "1:30: optimizer.steps: must be an integer"},
    {"Overflow", "{name: x, optimizer: {steps: 9223372036854775808}}", "1:30: optimizer.steps: is out of the range"},
    {"NegativeSeed", "{name: x, seed: -1}", "1:17: seed: must be an integer of at least 0"},
    {"NotANumber", "{name: x, optimizer: {lr: nan}}", "1:27: optimizer.lr: must be finite, got 'nan'"},
    {"YamlInfinity", "{name: x, optimizer: {lr: .inf}}", "1:27: optimizer.lr: must be a number, got '.inf'"},
    {"Infinity", "{name: x, optimizer: {lr: inf}}", "1:27: optimizer.lr: must be finite"},
    {"DoubleOverflow", "{name: x, optimizer: {lr: 1e999}}", "1:27: optimizer.lr: is out of the range"},
    {"Unit", "{name: x, optimizer: {lr: 1e-5f}}", "1:27: optimizer.lr: must be a number, got '1e-5f'"},
    {"EmptyNumber", "{name: x, optimizer: {lr: ''}}", "1:27: optimizer.lr: must be a number, got ''"},
    {"NumberForBool", "{name: x, flag: 1}", "1:17: flag: must be true or false, got '1'"},
    {"ListForScalar", "{name: [x]}", "1:8: name: must be a text, got a list"},
    {"MapForScalar", "{name: {x: 1}}", "1:8: name: must be a text, got a mapping"},
    {"ScalarForList", "{name: x, betas: 0.9}", "1:18: betas: must be a list"},
    {"ScalarForGroup", "{name: x, optimizer: fast}", "1:22: optimizer: must be a mapping with keys out of: lr, steps, kind, momentum"},
    {"ScalarForMap", "{name: x, thresholds: 1}", "1:23: thresholds: must be a mapping"},
    {"UnclosedFlow", "name: [a, b\n", ""},
    {"UnclosedQuote", "name: \"a\n", "1:9: a quote is never closed"},
    {"UnclosedSingleQuote", "name: 'a\nflag: true\n", "2:11: a quote is never closed"},
    {"UnclosedQuoteAtTheEnd", "name: \"a", "1:9: a quote is never closed"},
    {"LongKey", repeated("k", 100'000) + ": 1\n", ""},
};
INSTANTIATE_TEST_SUITE_P(Config, YamlTrap, testing::ValuesIn(kTraps), [](const auto& trap) { return trap.param.name; });

TEST(YamlGuard, AFileIsMeasuredBeforeItIsParsed) {
  const mvrm::test::Scratch scratch("yaml_guard");
  const auto path = scratch.path / "big.yaml";
  std::ofstream(path) << "name: x\n";
  std::filesystem::resize_file(path, 50'000'000);
  EXPECT_THROW(mvrm::config::load({path}, {}), mvrm::core::ConfigError);
  EXPECT_THROW(mvrm::config::parse(std::string((1 << 20) + 1, ' '), "a.yaml"), mvrm::core::ConfigError);
  EXPECT_NO_THROW(mvrm::config::parse(std::string(1 << 20, ' '), "a.yaml"));
}

TEST(YamlGuard, HarmlessYamlIsTaken) {
  const auto read_name = [](const std::string& text) {
    example::RunConfig config;
    mvrm::config::read(mvrm::config::parse(text, "a.yaml"), config);
    return config.name;
  };
  EXPECT_EQ(read_name("---\nname: x\n...\n"), "x");
  EXPECT_EQ(read_name("\xef\xbb\xbfname: x\n"), "x");                     // byte order mark
  EXPECT_EQ(read_name("name: x\r\nflag: no\r\n"), "x");
  EXPECT_EQ(read_name("name: &n x\nwhere: *n\n"), "x");                   // an alias that unfolds to little
  EXPECT_EQ(read_name("name: x\t# a tab behind a value\n"), "x");
  EXPECT_EQ(read_name("name: x\noptimizer:\n"), "x");                     // a group whose keys are all commented out
  EXPECT_EQ(read_name("name: \xc3\xa9\xf0\x9f\x8e\xac\n"), "\xc3\xa9\xf0\x9f\x8e\xac");
}

}  // namespace
