// SPDX-License-Identifier: Apache-2.0
// Broken files: every kind gives one line with file, row and cause, and the exit status of data errors.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/eval/pairwise_accuracy.h>
#include <mvrm/eval/prediction_log.h>
#include <mvrm/eval/split.h>
#include <mvrm/eval/vbench.h>
#include <mvrm/eval/verdicts.h>

#include <functional>

#include "tests/support/program.h"

namespace {

using namespace mvrm;

struct Broken {
  std::string kind, text, cause;
};

void expect_refused(const std::vector<Broken>& kinds, const std::function<void(const std::filesystem::path&)>& read) {
  const test::Scratch scratch("malformed");
  const auto path = scratch.path / "rows.json";
  for (const auto& broken : kinds) {
    SCOPED_TRACE(broken.kind);
    core::write_file_atomic(path, broken.text);
    try {
      read(path);
      ADD_FAILURE() << "accepted";
    } catch (const core::Error& error) {
      const std::string message = error.what();
      EXPECT_EQ(error.status(), core::ExitStatus::data);
      EXPECT_NE(message.find(broken.cause), std::string::npos) << message;
      EXPECT_EQ(message.rfind(path.string(), 0), 0U) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      EXPECT_LT(message.size(), 500U);
    }
  }
}

std::string nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

const char* const kGood = "{\"id\": \"1\", \"scores\": {\"a\": 1}}\n";

// What can be wrong with any file of rows.
std::vector<Broken> broken_rows() {
  const std::string good = kGood;
  return {
      {"empty file", "", ": holds no rows"},
      {"blank lines only", "\n \n\t\n", ": holds no rows"},
      {"empty array", "[]", ": holds no rows"},
      {"byte order mark", "\xEF\xBB\xBF" + good, ":1: starts with a byte order mark"},
      {"CR LF", good + "{\"id\": \"2\", \"scores\": {\"a\": 1}}\r\n", ":2: the line ends in CR LF"},
      {"not UTF-8", good + "{\"id\": \"\xff\xfe\", \"scores\": {\"a\": 1}}\n", ":2: holds bytes that are not UTF-8"},
      {"overlong UTF-8", good + "{\"id\": \"\xc0\xaf\", \"scores\": {\"a\": 1}}\n", ":2: holds bytes that are not UTF-8"},
      {"UTF-16", std::string("\xFF\xFE{\0\"\0", 6), ":1: "},
      {"a string of 10 MB", good + "{\"id\": \"" + std::string(10'000'000, 'x') + "\"}\n", ":2: a row of 10000010 bytes; the limit is 1048576"},
      {"a string of 10 MB in an array", "[{\"id\": \"" + std::string(10'000'000, 'x') + "\"}]", ": row 1: a row of 10000010 bytes"},
      {"deep nesting", good + "{\"id\": \"2\", \"scores\": " + nested(200) + "}\n", ":2: nested 201 deep"},
      {"deep nesting in an array", "[" + good + ", {\"id\": \"2\", \"scores\": " + nested(100'000) + "}]", ": row 2: nested 100001 deep"},
      {"a million open brackets", std::string(1'000'000, '['), ": row 1: is not valid JSON: the file ends inside the array"},
      {"cut row", good + "{\"id\": \"2\", ", ":2: is not valid JSON"},
      {"cut array", "[" + good, ": row 1: is not valid JSON: the file ends inside the array"},
      {"cut string in an array", "[{\"id\": \"1", "the file ends inside the array"},
      {"text behind the array", "[" + good + "] x", ": is not valid JSON: text behind the end of the array"},
      {"two commas", "[" + good + ",, " + good + "]", ": row 2: is not valid JSON: nothing between two commas"},
      {"comma before the end", "[" + good + ",]", ": row 2: is not valid JSON: nothing between two commas"},
      {"no comma between rows", "[" + good + good + "]", ": row 1: is not valid JSON"},
      {"wrong bracket", "[{\"id\": \"1\"]]", ": row 1: is not valid JSON"},
      {"NaN", good + "{\"id\": \"2\", \"scores\": {\"a\": NaN}}\n", ":2: is not valid JSON: NaN and Infinity are no JSON numbers"},
      {"number out of range", good + "{\"id\": \"2\", \"scores\": {\"a\": 1e999}}\n", ":2: holds a number that is out of range"},
      {"row is a list", good + "[1]\n", ":2: a row must be a JSON object"},
      {"row is a number", "[3]", ": row 1: a row must be a JSON object"},
      {"row is null", "[null]", ": row 1: a row must be a JSON object"},
      {"control character", good + "{\"id\": \"a\tb\"}\n", ":2: is not valid JSON"},
  };
}

TEST(Malformed, Predictions) {
  const std::string good = kGood;
  auto kinds = broken_rows();
  const std::vector<Broken> more = {
      {"no id", good + "{\"scores\": {\"a\": 1}}", ":2: a row needs a text 'id'"},
      {"empty id", good + "{\"id\": \"\", \"scores\": {\"a\": 1}}", ":2: a row needs a text 'id'"},
      {"id is a number", good + "{\"id\": 2, \"scores\": {\"a\": 1}}", ":2: a row needs a text 'id'"},
      {"duplicate id", good + good, ":2: sample '1': duplicate id; first in "},
      {"no scores", good + "{\"id\": \"2\"}", ":2: sample '2': neither 'scores' nor 'ans'"},
      {"scores is a list", good + "{\"id\": \"2\", \"scores\": [1]}", ":2: sample '2': 'scores' must be an object"},
      {"reward is text", good + "{\"id\": \"2\", \"scores\": {\"a\": \"3\"}}", ":2: sample '2': 'scores.a' is not a number"},
      {"label is text", good + "{\"id\": \"2\", \"scores\": {\"a\": 3}, \"labels\": {\"a\": \"3\"}}", ":2: sample '2': 'labels.a' is not a number"},
      {"label is a list", good + "{\"id\": \"2\", \"scores\": {\"a\": 3}, \"labels\": {\"a\": [3]}}", "'labels.a' is not a number"},
      {"list of 4", "{\"id\": \"2\", \"ref\": \"[1, 2, 3, 4]\", \"ans\": \"[1, 2, 3, 4, 5]\"}", ":1: sample '2': 'ref' must be a string holding a list of 5 numbers"},
      {"list is no text", "{\"id\": \"2\", \"ref\": [1, 2, 3, 4, 5], \"ans\": \"[1, 2, 3, 4, 5]\"}", "'ref' must be a string"},
      {"NaN in a list", "{\"id\": \"2\", \"ref\": \"[1, 2, 3, 4, 5]\", \"ans\": \"[1, nan, 3, 4, 5]\"}", "'ans' must be a string holding a list of 5 numbers"},
      {"text in a list", "{\"id\": \"2\", \"ref\": \"[1, 2, 3, 4, 5]\", \"ans\": \"[1, '2', 3, 4, 5]\"}", "'ans' must be a string"},
      {"list not closed", "{\"id\": \"2\", \"ref\": \"[1, 2, 3, 4, 5\", \"ans\": \"[1, 2, 3, 4, 5]\"}", "'ref' must be a string"},
      {"no ans", "{\"id\": \"2\", \"ref\": \"[1, 2, 3, 4, 5]\"}", "neither 'ans' nor 'response'"},
      {"no ref", "{\"id\": \"2\", \"ans\": \"[1, 2, 3, 4, 5]\"}", "'ref' must be a string"},
      {"response is a number", "{\"id\": \"2\", \"ref\": \"[1, 2, 3, 4, 5]\", \"response\": 3}", "'response' must be text"},
  };
  kinds.insert(kinds.end(), more.begin(), more.end());
  expect_refused(kinds, [](const auto& path) { eval::read_predictions(path); });
  const std::string row = R"({"id": "2", "ref": "[1, 2, 3, 4, 5]", "ans": "[1, 2, 3, 4, 5]"})";
  expect_refused({{"duplicate id", row + "\n" + row, ":2: sample '2': duplicate id; first in "}},
                 [](const auto& path) { eval::read_predictions(path, eval::RepeatedIds::refuse); });
}

TEST(Malformed, VotesAndAnswers) {
  const std::string good = "{\"idx\": 0, \"human_vote\": \"leftvote\", \"response\": \"[[A>B]]\"}\n";
  auto kinds = broken_rows();
  for (auto& broken : kinds) {
    for (size_t at = broken.text.find(kGood); at != std::string::npos; at = broken.text.find(kGood)) broken.text.replace(at, std::string(kGood).size(), good);
    if (broken.kind == "no comma between rows") broken.text = "[" + good + good + "]";
  }
  const std::vector<Broken> more = {
      {"no idx", good + "{\"human_vote\": \"leftvote\", \"response\": \"\"}", ":2: a row needs 'idx'"},
      {"idx is text", good + "{\"idx\": \"1\", \"human_vote\": \"leftvote\"}", ":2: a row needs 'idx'"},
      {"idx is negative", good + "{\"idx\": -1, \"human_vote\": \"leftvote\"}", ":2: a row needs 'idx'"},
      {"idx is no whole number", good + "{\"idx\": 1.5, \"human_vote\": \"leftvote\"}", ":2: a row needs 'idx'"},
      {"duplicate idx", good + good, ":2: sample '0': duplicate idx; first in "},
      {"no vote", good + "{\"idx\": 1, \"response\": \"\"}", ":2: sample '1': a row needs a text 'human_vote'"},
      {"vote is null", good + "{\"idx\": 1, \"human_vote\": null, \"response\": \"\"}", "a row needs a text 'human_vote'"},
      {"unknown vote", good + "{\"idx\": 1, \"human_vote\": \"left\", \"response\": \"\"}", ":2: sample '1': unknown vote 'left'; known: leftvote, rightvote, tievote"},
  };
  kinds.insert(kinds.end(), more.begin(), more.end());
  expect_refused(kinds, [](const auto& path) { eval::read_votes(path); });
  kinds.push_back({"no response", good + "{\"idx\": 1, \"human_vote\": \"leftvote\"}", ":2: sample '1': a row needs a text 'response'"});
  kinds.push_back({"response is a number", good + "{\"idx\": 1, \"human_vote\": \"leftvote\", \"response\": 3}", "a row needs a text 'response'"});
  expect_refused(kinds, [](const auto& path) { eval::evaluate_verdicts(path); });
}

TEST(Malformed, SidedPreferences) {
  const std::string left = "{\"id\": \"0000_left\", \"preference\": 1}\n", right = "{\"id\": \"0000_right\", \"preference\": 0}\n";
  expect_refused(
      {
          {"unpaired side", left, ":1: sample '0': pair without its right side"},
          {"unpaired other side", left + right + "{\"id\": \"0001_right\", \"preference\": 0}\n", ":3: sample '1': pair without its left side"},
          {"same side twice", left + left, ":2: sample '0000_left': duplicate id"},
          {"no side", "{\"id\": \"0000\", \"preference\": 1}\n", ":1: sample '0000': an id of a pair ends in _left or _right"},
          {"preference is text", "{\"id\": \"0000_left\", \"preference\": \"1\"}\n", "'preference' is not a number"},
          {"votes and preferences", left + right + "{\"idx\": 4, \"human_vote\": \"leftvote\"}\n", "mixes rows"},
      },
      [](const auto& path) { eval::read_votes(path); });
}

TEST(Malformed, VbenchPreferences) {
  const test::Scratch scratch("malformed_vbench");
  core::write_file_atomic(scratch.path / "p.jsonl", "{\"id\": \"technical_quality_0_x\", \"scores\": {\"a\": 1}}\n");
  const auto predictions = eval::read_predictions(scratch.path / "p.jsonl");
  const std::string good = "{\"id\": \"technical_quality_0_x\", \"preference\": {\"y\": 1}}\n";
  expect_refused(
      {
          {"no preference", "{\"id\": \"technical_quality_0_x\"}", ":1: sample 'technical_quality_0_x': 'preference' must be an object"},
          {"preference is a number", "{\"id\": \"technical_quality_0_x\", \"preference\": 1}", "'preference' must be an object"},
          {"preference of 2", "{\"id\": \"technical_quality_0_x\", \"preference\": {\"y\": 2}}", "'preference.y' must be 0, 0.5, 1 or null"},
          {"preference is text", "{\"id\": \"technical_quality_0_x\", \"preference\": {\"y\": \"1\"}}", "'preference.y' must be 0, 0.5, 1 or null"},
          {"id without aspect", "{\"id\": \"0_x\", \"preference\": {}}", "a VBench id is <aspect>_<number>_<model>"},
          {"id without number", "{\"id\": \"technical_quality_x\", \"preference\": {}}", "a VBench id is"},
          {"duplicate id", good + good, ":2: sample 'technical_quality_0_x': duplicate id; first in "},
      },
      [&](const auto& path) { eval::evaluate_vbench(predictions, "p.jsonl", path); });
}

TEST(Malformed, SplitsAndLogs) {
  expect_refused({{"no split", "{\"id\": \"1\"}", ":1: sample '1': a row needs a text 'split'"},
                  {"unknown split", "{\"id\": \"1\", \"split\": \"train\"}", "unknown split 'train'"},
                  {"twice", "{\"id\": \"1\", \"split\": \"test\"}\n{\"id\": \"1\", \"split\": \"test\"}", ":2: sample '1': duplicate id"}},
                 [](const auto& path) { eval::read_split(path); });
  const std::string good = "{\"id\": \"1\", \"scores\": {\"a\": 1}, \"made_by\": \"m\"}\n";
  expect_refused({{"another model", "{\"id\": \"1\", \"scores\": {\"a\": 1}, \"made_by\": \"n\"}\n", ":1: sample '1': was not made by this model"},
                  {"unknown maker", "{\"id\": \"1\", \"scores\": {\"a\": 1}}\n", "was not made by this model"},
                  {"maker is a number", "{\"id\": \"1\", \"scores\": {\"a\": 1}, \"made_by\": 3}\n", "was not made by this model"},
                  {"twice", good + good, ":2: sample '1': duplicate id"},
                  {"another dimension", "{\"id\": \"1\", \"scores\": {\"b\": 1}, \"made_by\": \"m\"}\n", "'scores.a' is not a number"}},
                 [](const auto& path) { eval::PredictionLog(path, "m", {"a"}); });
}

}  // namespace
