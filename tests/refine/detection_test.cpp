// SPDX-License-Identifier: Apache-2.0
// How well risks find errors, by hand and against SciPy.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/refine/detection.h>

#include <cmath>

#include "tests/refine/hand_profile.h"
#include "tests/support/program.h"

namespace {

using namespace mvrm;
using test::kNan;
using test::table;
using Flags = std::vector<uint8_t>;

// Pairs (wrong, right): .35 > .1 yes, .35 > .4 no, .8 > both: 3 of 4. Falling: .8 (1/1), .4, .35 (2/3): 1/2 * 1 + 1/2 * 2/3.
TEST(Detection, ByHand) {
  const std::vector<double> risk{0.1, 0.4, 0.35, 0.8};
  const Flags wrong{0, 0, 1, 1};
  EXPECT_DOUBLE_EQ(refine::auroc(risk, wrong), 0.75);
  EXPECT_DOUBLE_EQ(refine::average_precision(risk, wrong), 5.0 / 6);
  EXPECT_DOUBLE_EQ(refine::precision_at(risk, wrong, 1), 1);
  EXPECT_DOUBLE_EQ(refine::precision_at(risk, wrong, 2), 0.5);
  EXPECT_DOUBLE_EQ(refine::precision_at(risk, wrong, 3), 2.0 / 3);
  EXPECT_DOUBLE_EQ(refine::precision_at(risk, wrong, 4), 0.5);
  EXPECT_TRUE(std::isnan(refine::precision_at(risk, wrong, 5)));
  EXPECT_TRUE(std::isnan(refine::precision_at(risk, wrong, 0)));
}

// Two groups of ties, {2, 2} with one wrong and {1, 1} with one wrong. Pairs: 1 better, 2 tied, 1 worse. One group after the other:
// recall 1/2 at precision 1/2, then 1/2 at 2/4. The first of two tied labels is wrong half of the time.
TEST(Detection, TiesCountHalf) {
  const std::vector<double> risk{1, 1, 2, 2};
  const Flags wrong{0, 1, 0, 1};
  EXPECT_DOUBLE_EQ(refine::auroc(risk, wrong), 0.5);
  EXPECT_DOUBLE_EQ(refine::average_precision(risk, wrong), 0.5);
  EXPECT_DOUBLE_EQ(refine::precision_at(risk, wrong, 1), 0.5);
  EXPECT_DOUBLE_EQ(refine::precision_at(risk, wrong, 3), 0.5);
}

TEST(Detection, PerfectReversedAndUndefined) {
  EXPECT_EQ(refine::auroc({1, 2, 3, 4}, {0, 0, 1, 1}), 1);
  EXPECT_EQ(refine::auroc({4, 3, 2, 1}, {0, 0, 1, 1}), 0);
  EXPECT_TRUE(std::isnan(refine::auroc({1, 2}, {0, 0})));
  EXPECT_TRUE(std::isnan(refine::auroc({1, 2}, {1, 1})));
  EXPECT_TRUE(std::isnan(refine::average_precision({1, 2}, {0, 0})));
  EXPECT_EQ(refine::average_precision({1, 2}, {1, 1}), 1);
  EXPECT_TRUE(std::isnan(refine::auroc({}, {})));
  EXPECT_EQ(refine::auroc({kNan, 1, 2, kNan}, {1, 0, 1, 0}), 1);   // a NaN is no label
  EXPECT_THROW(refine::auroc({1}, {0, 1}), core::Error);
}

// 40 values with many ties: scipy.stats.mannwhitneyu(risk[y == 1], risk[y == 0]).statistic / (n1 n0); average precision by its definition
// in NumPy over the distinct thresholds.
TEST(Detection, AgreesWithSciPy) {
  const std::vector<double> risk{0.0, 0.5,  -0.5, -1.0, -0.5, -0.5, 0.0, 1.5, -0.5, -0.5, 0.5,  1.0,  0.0,  -1.0, 0.5, 0.5,  -1.5, -0.5, -2.0, -1.5,
                                 -2.0, 0.0, -1.0, 0.5,  0.5,  0.0,  -2.0, -0.5, 0.5, 0.0,  -1.5, -0.5, -1.0, -0.5, 1.0, -1.0, 0.0,  1.0,  0.0,  0.5};
  const Flags wrong{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1};
  EXPECT_NEAR(refine::auroc(risk, wrong), 0.6016666666666667, 1e-15);
  EXPECT_NEAR(refine::average_precision(risk, wrong), 0.3283096686950643, 1e-15);
}

TEST(Detection, TablesAndJson) {
  const at::Tensor risk_NK = table({{0.1, 1}, {0.4, 2}, {0.35, kNan}, {0.8, 3}});
  const at::Tensor wrong_NK = table({{0, 0}, {0, 0}, {1, 1}, {1, 0}}).to(at::kByte);
  const auto found = refine::detect(risk_NK, wrong_NK, {1, 3, 4, 100});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].labels, 4);
  EXPECT_EQ(found[0].positives, 2);
  EXPECT_DOUBLE_EQ(found[0].auroc, 0.75);
  EXPECT_DOUBLE_EQ(found[0].precision_at_positives, 0.5);
  EXPECT_EQ(found[0].precision_at.size(), 3U);   // not at 100
  EXPECT_EQ(found[1].labels, 3);
  EXPECT_EQ(found[1].positives, 0);   // the wrong one has no risk
  const auto document = refine::to_json(found, {"x", "y"});
  EXPECT_EQ(document["dimensions"]["x"]["auroc"], 0.75);
  EXPECT_TRUE(document["dimensions"]["y"]["auroc"].is_null());
  EXPECT_EQ(document["mean"]["auroc"], 0.75);   // of the dimensions that have one
  EXPECT_EQ(document["dimensions"]["x"]["precision_at"]["1"], 1.0);
}

class Truth : public ::testing::Test {
 protected:
  void expect_error(const std::string& text, const std::vector<std::string>& parts) {
    core::write_file_atomic(path_, text);
    try {
      refine::read_truth(path_, profile_);
      FAIL() << "accepted: " << text;
    } catch (const core::DataError& error) {
      for (const auto& part : parts) EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << "no '" << part << "' in " << error.what();
    }
  }
  test::Scratch scratch_{"refine_truth"};
  std::filesystem::path path_ = scratch_.path / "truth.jsonl";
  influence::Profile profile_ = test::profile_of({"a", "b"}, table({{1, 2}, {3, 4}}));
};

TEST_F(Truth, IsFoundById) {
  core::write_file_atomic(path_, "{\"id\":\"b\",\"corrupted\":{\"d0\":true,\"d1\":false}}\n{\"id\":\"z\",\"corrupted\":{}}\n"
                                 "{\"id\":\"a\",\"labels\":{\"d0\":1},\"corrupted\":{\"d1\":true,\"d0\":false,\"d9\":true}}\n");
  EXPECT_TRUE(at::equal(refine::read_truth(path_, profile_), table({{0, 1}, {1, 0}}).to(at::kByte)));
}

TEST_F(Truth, BadRowsAreNamed) {
  const std::string a = "{\"id\":\"a\",\"corrupted\":{\"d0\":true,\"d1\":false}}\n";
  expect_error(a, {"truth.jsonl", "'b'"});
  expect_error(a + a, {":2", "duplicate"});
  expect_error(a + "{\"id\":\"b\",\"corrupted\":{\"d0\":1,\"d1\":false}}\n", {":2", "'d0'"});
  expect_error(a + "{\"id\":\"b\",\"corrupted\":{\"d0\":true}}\n", {":2", "'d1'"});
  expect_error(a + "{\"id\":\"b\"}\n", {":2", "'corrupted'"});
  expect_error("oops\n", {":1"});
}

}  // namespace
