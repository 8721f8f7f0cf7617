// SPDX-License-Identifier: Apache-2.0
// Numbers that others published for files that they published: VideoScore's result files and GenAI-Bench's answers.
#include <gtest/gtest.h>
#include <mvrm/core/files.h>
#include <mvrm/eval/pairwise_accuracy.h>
#include <mvrm/eval/rank_correlation.h>
#include <mvrm/eval/verdicts.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/shared_data.h"

namespace {

using namespace mvrm;

#define MVRM_NEEDS_PUBLISHED(folder)                                                                          \
  if (!std::filesystem::exists(test::shared_data() / (folder)))                                               \
  GTEST_SKIP() << "no published files: MVRM_SHARED_DATA names the folder that holds " << (folder)

std::filesystem::path results(const std::string& name) { return test::shared_data() / "videoscore_results" / name; }
std::filesystem::path answers(const std::string& model) { return test::shared_data() / "genai_bench/video_generation" / (model + ".json"); }

double four_decimals(double x) { return std::round(1e4 * x) / 1e4; }

struct StoredSpearman {
  const char *file, *model;
};
class PublishedList : public testing::TestWithParam<StoredSpearman> {};

// The last of the records of a model belongs to the file as it is now.
TEST_P(PublishedList, SpearmanToAllPrintedDigits) {
  MVRM_NEEDS_PUBLISHED("videoscore_results");
  const auto records = nlohmann::json::parse(core::read_file(results("spearman_corr_video_feedback.json")));
  nlohmann::json record;
  for (const auto& entry : records) {
    if (entry.contains(GetParam().model)) record = entry.at(GetParam().model);
  }
  const auto result = eval::evaluate_spearman(eval::read_predictions(results(GetParam().file)), 0);
  ASSERT_EQ(result.dimensions.size(), 5U);
  for (size_t k = 0; k < 5; ++k) {
    const auto &r = record.at("spearman_list").at(k), &p = record.at("p_value_list").at(k);
    if (r.is_null()) {
      EXPECT_TRUE(std::isnan(result.dimensions[k].spearman));
      EXPECT_FALSE(result.dimensions[k].reason.empty());
      continue;
    }
    EXPECT_EQ(four_decimals(100 * result.dimensions[k].spearman), r.get<double>()) << k;
    EXPECT_NEAR(result.dimensions[k].p_value, p.get<double>(), 1e-12 * p.get<double>()) << k;
  }
}
INSTANTIATE_TEST_SUITE_P(VideoScore, PublishedList,
                         testing::Values(StoredSpearman{"eval_video_feedback_videoscore.json", "videoscore"},
                                         StoredSpearman{"eval_video_feedback_MSE-dyn.json", "MSE-dyn"},
                                         StoredSpearman{"eval_video_feedback_PIQE.json", "PIQE"},
                                         StoredSpearman{"eval_video_feedback_llava_next.json", "next"}),
                         [](const auto& one) { return "case" + std::to_string(one.index); });

TEST(Published, SeventeenPairsOfVideoScore) {
  MVRM_NEEDS_PUBLISHED("genai_bench");
  const auto votes = eval::read_votes(answers("llava"));
  const auto result = eval::evaluate_pairs(
      eval::match_pairs(eval::read_predictions(results("eval_genaibench_videoscore.json"), eval::RepeatedIds::refuse), votes, "file"));
  EXPECT_EQ(result.pairs, 17);
  EXPECT_EQ(four_decimals(result.all.accuracy), 0.8824);
  const double published[] = {0.4706, 0.8235, 0.6471, 0.7647, 0.7059};
  for (size_t k = 0; k < 5; ++k) EXPECT_EQ(four_decimals(result.dimensions[k].all.accuracy), published[k]) << k;
}

TEST(Published, TwentyNinePairsOfClipSim) {
  MVRM_NEEDS_PUBLISHED("genai_bench");
  const auto result =
      eval::evaluate_pairs(eval::match_pairs(eval::read_predictions(results("eval_genaibench_CLIP-sim.json")), eval::read_votes(answers("llava")), "file"));
  EXPECT_EQ(result.pairs, 29);
  EXPECT_DOUBLE_EQ(result.all.accuracy, 0.4827586206896552);
  for (const auto& d : result.dimensions) EXPECT_DOUBLE_EQ(d.all.accuracy, 0.4827586206896552) << d.name;
}

TEST(Published, SeededRandomBaseline) {
  MVRM_NEEDS_PUBLISHED("genai_bench");
  const auto result = eval::evaluate_pairs(eval::random_pairs(eval::read_votes(answers("llava")), 42));
  EXPECT_EQ(result.pairs, 1069);
  EXPECT_EQ(four_decimals(result.all.accuracy), 0.377);
  EXPECT_EQ(result.pairs_without_ties, 700);
  EXPECT_LT(result.all.low, 0.377);
  EXPECT_GT(result.all.high, 0.377);
}

// The script's exclude_tie option leaves out pairs before it draws, so their numbers go to the pairs behind them.
TEST(Published, SeededRandomBaselineWithoutTies) {
  MVRM_NEEDS_PUBLISHED("genai_bench");
  const auto all = eval::read_votes(answers("llava"));
  eval::Votes votes;
  for (size_t p = 0; p < all.keys.size(); ++p) {
    if (all.preferences[p] == eval::Preference::tie) continue;
    votes.keys.push_back(all.keys[p]);
    votes.preferences.push_back(all.preferences[p]);
  }
  EXPECT_DOUBLE_EQ(eval::evaluate_pairs(eval::random_pairs(votes, 42)).all.accuracy, 329.0 / 700);
}

TEST(Published, VerdictAccuraciesAndTheStoredVerdictOfEveryAnswer) {
  MVRM_NEEDS_PUBLISHED("genai_bench");
  const std::pair<const char*, double> table[] = {{"llava", 30.40}, {"idefics2", 16.46}, {"cogvlm", 24.60}, {"random", 25.16}};
  for (const auto& [model, accuracy] : table) {
    SCOPED_TRACE(model);
    const auto result = eval::evaluate_verdicts(answers(model));
    EXPECT_EQ(result.all.n, 1069);
    EXPECT_EQ(std::round(1e4 * result.all.accuracy()) / 1e2, accuracy);
    const int64_t votes[] = {325, 375, 138, 231};
    for (size_t vote = 0; vote < 4; ++vote) EXPECT_EQ(result.by_vote[vote].n, votes[vote]);
    for (const auto& row : nlohmann::json::parse(core::read_file(answers(model)))) {
      const auto verdict = eval::verdict_of(row.at("response").get<std::string>());
      const auto& stored = row.at("model_vote");
      EXPECT_EQ(verdict, stored.is_null() ? std::nullopt : std::optional(stored.get<std::string>())) << row.at("idx");
      EXPECT_EQ(eval::is_correct(verdict, *eval::vote_from_name(row.at("human_vote").get<std::string>())), row.at("correct").get<bool>()) << row.at("idx");
    }
  }
}

// Reading and writing back gives the published bytes.
TEST(Published, ResultFileIsWrittenAsVideoScoreWritesIt) {
  MVRM_NEEDS_PUBLISHED("videoscore_results");
  const auto copy = std::filesystem::temp_directory_path() / ("mvrm_published_" + std::to_string(::getpid()) + ".json");
  for (const char* name : {"eval_video_feedback_videoscore.json", "eval_genaibench_videoscore.json", "eval_vbench_videoscore.json"}) {
    eval::write_videoscore_results(copy, eval::read_predictions(results(name)));
    EXPECT_EQ(core::read_file(copy), core::read_file(results(name))) << name;
  }
  std::filesystem::remove(copy);
}

}  // namespace
