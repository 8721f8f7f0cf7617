// SPDX-License-Identifier: Apache-2.0
// Free text as answers.
#include <gtest/gtest.h>
#include <mvrm/eval/verdicts.h>

namespace {

using namespace mvrm;
using eval::HumanVote;
using eval::integer_answers;
using eval::verdict_of;

TEST(Verdicts, FirstDoubleBracketGreedyWithinItsLine) {
  EXPECT_EQ(verdict_of("Model A is better: [[A>B]]"), "[[A>B]]");
  EXPECT_EQ(verdict_of("[[A>B]] no, [[B>A]]"), "[[A>B]] no, [[B>A]]");  // two on one line merge
  EXPECT_EQ(verdict_of("[[A>B]]\n[[B>A]]"), "[[A>B]]");
  EXPECT_EQ(verdict_of("[[ opened and left\n[[A=B=Good]]"), "[[A=B=Good]]");
  EXPECT_EQ(verdict_of("]] [[A=B]]"), "[[A=B]]");
  EXPECT_EQ(verdict_of("[[[A>B]]]"), "[[[A>B]]]");
  EXPECT_EQ(verdict_of("[[]]"), "[[]]");
  EXPECT_EQ(verdict_of("[A>B]"), std::nullopt);
  EXPECT_EQ(verdict_of("]]["), std::nullopt);
  EXPECT_EQ(verdict_of("[[]"), std::nullopt);
  EXPECT_EQ(verdict_of(""), std::nullopt);
}

TEST(Verdicts, CorrectSetsOfEachVote) {
  const char* const verdicts[] = {"[[A>B]]", "[[A>>B]]", "[[B>A]]", "[[B>>A]]", "[[A=B]]", "[[A=B=Good]]", "[[A=B=Bad]]", "[[A>B]] [[A>B]]", "[[a>b]]"};
  const std::pair<HumanVote, const char*> correct[] = {
      {HumanVote::left, "110000000"}, {HumanVote::right, "001100000"}, {HumanVote::tie, "000011000"}, {HumanVote::both_bad, "000010100"}};
  for (const auto& [vote, expected] : correct) {
    for (size_t i = 0; i < std::size(verdicts); ++i) EXPECT_EQ(eval::is_correct(verdicts[i], vote), expected[i] == '1') << verdicts[i];
    EXPECT_FALSE(eval::is_correct(std::nullopt, vote));
    EXPECT_EQ(eval::vote_from_name(eval::name_of(vote)), vote);
  }
  EXPECT_EQ(eval::vote_from_name("left"), std::nullopt);
}

using Five = std::array<double, 5>;
TEST(IntegerAnswers, FirstFiveFromOneToFour) {
  EXPECT_EQ(integer_answers("visual quality: 4\ntemporal consistency: 3\ndynamic degree: 2\ntext-to-video alignment: 1\nfactual consistency: 2"), (Five{4, 3, 2, 1, 2}));
  EXPECT_EQ(integer_answers("**visual quality:** 3\n**temporal consistency:** 2"), (Five{3, 2, 0, 0, 0}));
  EXPECT_EQ(integer_answers("a: 5, b: 0, c: 12, d: 3.7, e: 1, f: 2"), (Five{0, 0, 0, 3, 1}));
  EXPECT_EQ(integer_answers("a:3, b: x, c : 2, d: 99999999999999999999"), (Five{2, 0, 0, 0, 0}));
  EXPECT_EQ(integer_answers("no numbers:"), (Five{}));
}

}  // namespace
