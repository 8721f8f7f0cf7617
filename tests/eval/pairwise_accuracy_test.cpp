// SPDX-License-Identifier: Apache-2.0
// VideoScore's rule for pairs, Python's random numbers, and the intervals.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/data/manifest.h>
#include <mvrm/eval/compare.h>
#include <mvrm/eval/vbench.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "src/eval/python_random.h"
#include "tests/support/program.h"

namespace {

using namespace mvrm;
using eval::Preference;

TEST(Pairwise, RuleOfTwoRewards) {
  EXPECT_TRUE(eval::agrees(2.1, 2.0, Preference::left));
  EXPECT_FALSE(eval::agrees(2.0, 2.0, Preference::left));  // equal rewards on a preferred pair are wrong
  EXPECT_FALSE(eval::agrees(2.0, 2.0, Preference::right));
  EXPECT_TRUE(eval::agrees(2.0, 2.1, Preference::right));
  EXPECT_TRUE(eval::agrees(2.0, 2.499, Preference::tie));
  EXPECT_FALSE(eval::agrees(2.0, 2.5, Preference::tie));   // strictly closer than 0.5
  EXPECT_FALSE(eval::agrees(2.5, 2.0, Preference::tie));
}

// Python 3.11: random.seed(42); [random.random() for _ in range(2)], and the 1000th of seed 0.
TEST(Pairwise, RandomNumbersArePythons) {
  eval::PythonRandom random(42);
  EXPECT_EQ(random.random(), 0.6394267984578837);
  EXPECT_EQ(random.random(), 0.025010755222666936);
  eval::PythonRandom other(0);
  double last = 0;
  for (int i = 0; i < 1000; ++i) last = other.random();
  EXPECT_EQ(last, 0.4804125346981437);
}

eval::PairTable table(std::vector<Preference> preferences, std::vector<double> left, std::vector<double> right) {
  eval::PairTable pairs{.keys = {}, .preferences = std::move(preferences), .dimensions = {"a", "b"}, .left = std::move(left), .right = std::move(right)};
  for (size_t p = 0; p < pairs.preferences.size(); ++p) pairs.keys.push_back(static_cast<int64_t>(p));
  return pairs;
}

// By hand: pair 0 (left): a right, b wrong, mean 2.5 > 2.25 right; pair 1 (tie): a 0.2 right, b 1 wrong, mean 0.4 apart right;
// pair 2 (right): a equal wrong, b right, mean right; pair 3 (left): all wrong.
TEST(Pairwise, CountsByHand) {
  const auto pairs = table({Preference::left, Preference::tie, Preference::right, Preference::left}, {3, 2, 2.0, 3.0, 1, 1, 1, 1}, {2, 2.5, 2.2, 2.0, 1, 2, 2, 2});
  const auto result = eval::evaluate_pairs(pairs, 500);
  EXPECT_EQ(result.pairs, 4);
  EXPECT_EQ(result.pairs_without_ties, 3);
  EXPECT_DOUBLE_EQ(result.dimensions[0].all.accuracy, 2.0 / 4);
  EXPECT_DOUBLE_EQ(result.dimensions[1].all.accuracy, 1.0 / 4);
  EXPECT_DOUBLE_EQ(result.all.accuracy, 3.0 / 4);
  EXPECT_DOUBLE_EQ(result.dimensions[0].without_ties.accuracy, 1.0 / 3);
  EXPECT_DOUBLE_EQ(result.dimensions[1].without_ties.accuracy, 1.0 / 3);
  EXPECT_DOUBLE_EQ(result.without_ties.accuracy, 2.0 / 3);
  const auto document = nlohmann::json::parse(eval::to_json_text(result));
  EXPECT_EQ(document.at("pairs"), 4);
  EXPECT_EQ(document.at("accuracy"), 0.75);
  EXPECT_EQ(document.at("dimensions").at("a"), 0.5);
  EXPECT_EQ(document.at("without_ties").at("pairs"), 3);
}

// A share p of n pairs has a standard error of sqrt(p (1 - p) / n); the number of threads changes nothing.
TEST(Pairwise, IntervalIsThatOfAShare) {
  std::vector<Preference> preferences(1000, Preference::left);
  std::vector<double> left(2000, 1), right(2000, 0);
  for (size_t p = 0; p < 300; ++p) right[2 * p] = 5;
  const auto pairs = table(preferences, left, right);
  const auto result = eval::evaluate_pairs(pairs, 4000, 7, 2);
  const double expected = 2 * 1.96 * std::sqrt(0.7 * 0.3 / 1000);
  EXPECT_NEAR(result.dimensions[0].all.high - result.dimensions[0].all.low, expected, 0.1 * expected);
  EXPECT_EQ(result.dimensions[1].all.low, 1);
  EXPECT_EQ(eval::to_json_text(result), eval::to_json_text(eval::evaluate_pairs(pairs, 4000, 7, 1)));
}

eval::Predictions rows(std::vector<std::string> ids, std::vector<double> rewards) {
  const auto count = static_cast<int64_t>(ids.size());
  return {.ids = std::move(ids), .dimensions = {"a"}, .reward_NK = at::tensor(rewards, at::kDouble).view({count, 1}), .label_NK = at::zeros({count, 1}, at::kDouble)};
}

TEST(Pairwise, SidesMeetByNumberInTheOrderOfTheVotes) {
  const eval::Votes votes{.keys = {7, 3, 9}, .preferences = {Preference::left, Preference::right, Preference::tie}};
  const auto pairs = eval::match_pairs(rows({"0003_left", "0007_right", "0003_right", "7_left"}, {1.00049, 2, 3, 4}), votes, "file");
  EXPECT_EQ(pairs.keys, (std::vector<int64_t>{7, 3}));
  EXPECT_EQ(pairs.left, (std::vector<double>{4, 1.0}));  // rounded to 3 decimals as in a result file
  EXPECT_EQ(pairs.right, (std::vector<double>{2, 3}));
}

TEST(Pairwise, UnpairedSidesAreRefusedOrDropped) {
  const eval::Votes votes{.keys = {0, 1}, .preferences = {Preference::left, Preference::right}};
  const auto one_side = rows({"0_left", "0_right", "1_left"}, {1, 2, 3});
  EXPECT_THROW(eval::match_pairs(one_side, votes, "file"), core::DataError);
  EXPECT_EQ(eval::match_pairs(one_side, votes, "file", true).keys, (std::vector<int64_t>{0}));
  EXPECT_THROW(eval::match_pairs(rows({"5_left"}, {1}), votes, "file"), core::DataError);
  EXPECT_THROW(eval::match_pairs(rows({"5_middle"}, {1}), votes, "file"), core::DataError);
}

// The small Parquet files that the tests of the readers have: benchmark rows as they are published.
TEST(Pairwise, VotesComeOutOfParquetAndOfRowsWithBothClips) {
  const std::filesystem::path folder = std::filesystem::path(MVRM_SOURCE_DIR) / "tests/data/parquet";
  if (data::reads_parquet()) {
    const auto votes = eval::read_votes(folder / "bench_genaibench.parquet");
    ASSERT_FALSE(votes.keys.empty());
    EXPECT_EQ(votes.keys[0], 0);
  }
  const test::Scratch scratch("votes");
  core::write_file_atomic(scratch.path / "v.jsonl", "{\"left_video\": \"a.mp4\", \"vote_type\": \"leftvote\"}\n{\"left_video\": \"b.mp4\", \"vote_type\": \"bothbad_vote\"}\n");
  const auto votes = eval::read_votes(scratch.path / "v.jsonl");
  EXPECT_EQ(votes.keys, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(votes.preferences, (std::vector<Preference>{Preference::left, Preference::tie}));
}

class Vbench : public testing::Test {
 protected:
  test::Scratch scratch{"vbench"};
  eval::VbenchResult evaluate(const std::string& predictions, const std::string& preferences, bool compatible = false) {
    core::write_file_atomic(scratch.path / "p.jsonl", predictions);
    core::write_file_atomic(scratch.path / "q.jsonl", preferences);
    return eval::evaluate_vbench(eval::read_predictions(scratch.path / "p.jsonl", eval::RepeatedIds::allow), "p.jsonl", scratch.path / "q.jsonl",
                                 {.videoscore_compatible = compatible, .resamples = 50});
  }
};

std::string prediction(const std::string& id, double a, double b) {
  return R"({"id": ")" + id + R"(", "scores": {"a": )" + std::to_string(a) + R"(, "b": )" + std::to_string(b) + "}}\n";
}

const char* const kPreferences = R"({"id": "technical_quality_0_x", "prompt": "p", "preference": {"x": null, "y": 1, "z": 0.5}}
{"id": "technical_quality_0_y", "prompt": "p", "preference": {"x": 0, "y": null, "z": 0}}
{"id": "technical_quality_0_z", "prompt": "p", "preference": {"x": 0.5, "y": 1, "z": null}}
{"id": "subject_consistency_0_x", "preference": {"y": 1}}
{"id": "subject_consistency_0_y", "preference": {"x": 0}}
)";

// By hand, technical quality: x over y: a right (3 > 2), b wrong, mean 2.5 against 2.25 right; x = z: a 2 apart wrong, b right,
// mean 2.5 against 1.625 wrong; z over y: a, b and mean wrong. Subject consistency: x over y, all right.
TEST_F(Vbench, CountsByHandAndAsTheScriptCounts) {
  const std::string predictions = prediction("technical_quality_0_x", 3, 2) + prediction("technical_quality_0_y", 2, 2.5) +
                                  prediction("technical_quality_0_z", 1, 2.25) + prediction("subject_consistency_0_x", 2, 2) +
                                  prediction("subject_consistency_0_y", 1, 1);
  const auto result = evaluate(predictions, kPreferences);
  ASSERT_EQ(result.aspects.size(), 2U);
  EXPECT_EQ(result.pairs, 8);
  EXPECT_EQ(result.aspects[0].result.pairs, 6);
  EXPECT_DOUBLE_EQ(result.aspects[0].result.all.accuracy, 1.0 / 3);
  EXPECT_DOUBLE_EQ(result.aspects[0].result.dimensions[0].all.accuracy, 1.0 / 3);
  EXPECT_DOUBLE_EQ(result.aspects[0].result.dimensions[1].all.accuracy, 1.0 / 3);
  EXPECT_DOUBLE_EQ(result.mean.accuracy, 2.0 / 3);  // mean of the aspects, not of the pairs
  const auto compatible = evaluate(predictions, kPreferences, true);
  EXPECT_DOUBLE_EQ(compatible.aspects[0].result.all.accuracy, 1.0 / 3);
  EXPECT_DOUBLE_EQ(compatible.aspects[0].result.dimensions[0].all.accuracy, 1.0 / 3);
  EXPECT_DOUBLE_EQ(compatible.aspects[0].result.dimensions[1].all.accuracy, 0);  // right only where the mean is wrong
  EXPECT_EQ(nlohmann::json::parse(eval::to_json_text(result)).at("aspects").at("subject_consistency").at("accuracy"), 1);
}

TEST_F(Vbench, AspectFollowsFromTheFallingNumber) {
  const auto result = evaluate(prediction("0_x", 3, 3) + prediction("0_y", 2, 2) + prediction("1_x", 3, 3) + prediction("0_x", 3, 3) + prediction("0_y", 2, 2),
                               std::string(kPreferences) + R"({"id": "technical_quality_1_x", "preference": {}})" + "\n");
  ASSERT_EQ(result.aspects.size(), 2U);
  EXPECT_EQ(result.aspects[1].name, "subject_consistency");
  EXPECT_EQ(result.pairs, 4);
}

TEST_F(Vbench, OtherPromptOrContradictionIsRefused) {
  EXPECT_THROW(evaluate(R"({"id": "technical_quality_0_x", "text": "q", "ref": "[1,1,1,1,1]", "ans": "[1,1,1,1,1]"})", kPreferences), core::DataError);
  EXPECT_THROW(evaluate(prediction("subject_consistency_0_x", 1, 1) + prediction("subject_consistency_0_y", 1, 1),
                        "{\"id\": \"subject_consistency_0_x\", \"preference\": {\"y\": 1}}\n{\"id\": \"subject_consistency_0_y\", \"preference\": {\"x\": 1}}\n"),
               core::DataError);
  EXPECT_THROW(evaluate(prediction("technical_quality_7_x", 1, 1), kPreferences), core::DataError);
}

}  // namespace
