// SPDX-License-Identifier: Apache-2.0
// The fit that is kept beside a profile: the answer is that of a fresh fit, and whatever does not belong there is made anew and said so.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/influence/leverage.h>
#include <mvrm/influence/whatif.h>

#include <cmath>
#include <utility>

#include "tests/influence/random_table.h"
#include "tests/support/program.h"

namespace {

using namespace mvrm;
using test::normal_table;
using test::slurp;

constexpr int64_t kRows = 60, kWidth = 9, kDimensions = 3;

class KeptRidge : public testing::Test {
 protected:
  void SetUp() override {
    context_.log = context_.log.with_file(scratch_.path / "log.txt");
    feature_ND_ = (normal_table({kRows, kWidth}, 1) + 1.0).to(at::kFloat);
    label_NK_ = (feature_ND_.to(at::kDouble).mm(normal_table({kWidth, kDimensions}, 2)) + 0.5 * normal_table({kRows, kDimensions}, 3)).to(at::kFloat);
    label_NK_[4][1] = std::nanf("");   // two factors
  }
  influence::RidgeHead kept(const influence::RidgeOptions& options = {}) {
    return influence::kept_ridge(scratch_.path, feature_ND_, label_NK_, options, context_);
  }
  // The lines since the last call.
  std::string said() {
    const std::string all = slurp(scratch_.path / "log.txt");
    return all.substr(std::exchange(read_, all.size()));
  }
  std::filesystem::path file() const { return scratch_.path / "ridge.safetensors"; }
  void expect_answer_of_a_fresh_fit(const influence::RidgeHead& head) const {
    const std::vector<influence::LabelChange> changes = {{.row = 3, .dimension = 0, .label = std::nullopt}, {.row = 3, .dimension = 1, .label = std::nullopt},
                                                         {.row = 4, .dimension = 1, .label = 2.5}, {.row = 8, .dimension = 2, .label = 1.0}};
    const auto fresh = influence::fit_ridge(feature_ND_, label_NK_);
    const auto expected = influence::what_if(fresh, feature_ND_, label_NK_, changes, feature_ND_);
    const auto answer = influence::what_if(head, feature_ND_, label_NK_, changes, feature_ND_);
    EXPECT_TRUE(at::allclose(answer.before_TK, expected.before_TK, 1e-13, 1e-13));
    EXPECT_TRUE(at::allclose(answer.after_TK, expected.after_TK, 1e-13, 1e-13));
    EXPECT_GT((answer.after_TK - answer.before_TK).abs().amax(0).min().item<double>(), 1e-4) << "every dimension was changed";
    const auto effect = influence::leave_one_out_effects(head, feature_ND_, label_NK_, feature_ND_.narrow(0, 0, 2));
    const auto wanted = influence::leave_one_out_effects(fresh, feature_ND_, label_NK_, feature_ND_.narrow(0, 0, 2));
    for (size_t k = 0; k < 3; ++k) EXPECT_TRUE(at::allclose(effect[k], wanted[k], 1e-12, 1e-13, /*equal_nan=*/true));
  }

  test::Scratch scratch_{"kept_ridge"};
  core::Context context_;
  at::Tensor feature_ND_, label_NK_;
  size_t read_ = 0;
};

TEST_F(KeptRidge, TheSecondQuestionFindsTheFit) {
  expect_answer_of_a_fresh_fit(kept());
  EXPECT_NE(said().find("fitting the head to 60 samples of 9 features"), std::string::npos);
  const auto written = std::filesystem::last_write_time(file());
  const auto found = kept();
  EXPECT_EQ(said(), "");
  EXPECT_EQ(std::filesystem::last_write_time(file()), written);
  ASSERT_TRUE(found.groups.at(0).leverage_n.defined());
  expect_answer_of_a_fresh_fit(found);
}

TEST_F(KeptRidge, ADamagedFileIsMadeAnew) {
  kept();
  said();
  std::string bytes = slurp(file());
  const std::string whole = bytes;
  for (const size_t place : {bytes.size() - 9, bytes.size() / 2, size_t{3}}) {
    bytes = whole;
    bytes[place] = static_cast<char>(bytes[place] ^ 1);
    std::ofstream(file(), std::ios::binary) << bytes;
    expect_answer_of_a_fresh_fit(kept());
    EXPECT_NE(said().find("ridge.safetensors: is damaged; fitting the head"), std::string::npos) << place;
    EXPECT_TRUE(slurp(file()) == whole) << place;
  }
  std::filesystem::resize_file(file(), 100);
  expect_answer_of_a_fresh_fit(kept());
  EXPECT_NE(said().find("is damaged"), std::string::npos);
}

TEST_F(KeptRidge, OneBitOfFeaturesOrLabelsOrAnotherPenaltyIsAnotherFit) {
  const auto stale = [&] { return said().find("belongs to other features, labels or penalty; fitting") != std::string::npos; };
  kept();
  said();
  feature_ND_[17][2] = std::nextafter(feature_ND_[17][2].item<float>(), 10.0F);
  expect_answer_of_a_fresh_fit(kept());
  EXPECT_TRUE(stale());
  label_NK_[20][0] = std::nextafter(label_NK_[20][0].item<float>(), 10.0F);
  expect_answer_of_a_fresh_fit(kept());
  EXPECT_TRUE(stale());
  const auto given = kept({.lambda = 0.1});
  EXPECT_TRUE(stale());
  EXPECT_EQ(given.groups.at(0).lambda, 0.1);
  EXPECT_EQ(kept({.lambda = 0.1}).groups.at(1).lambda, 0.1);
  EXPECT_EQ(said(), "");
  kept({.lambda = 0.1 + 1e-15});
  EXPECT_TRUE(stale());
}

TEST_F(KeptRidge, LeveragesOfTheChosenPenaltyAreThoseOfTheFactor) {
  const auto chosen = influence::fit_ridge(feature_ND_, label_NK_);
  for (const auto& group : chosen.groups) {
    const auto given = influence::fit_ridge(feature_ND_, label_NK_, {.lambda = group.lambda, .leverage = true});
    const auto* same = given.group_of(group.dimensions.front());
    EXPECT_TRUE(at::allclose(group.leverage_n, same->leverage_n, 1e-9, 1e-12));
  }
}

TEST_F(KeptRidge, AFolderThatCannotBeWrittenIsAWarning) {
  std::filesystem::create_directory(file());   // a folder in the place of the file
  expect_answer_of_a_fresh_fit(kept());
  EXPECT_NE(said().find("the fit is not kept"), std::string::npos);
}

TEST(FitTable, RowsThatWereNotComputedTakeNoPart) {
  influence::Profile profile;
  EXPECT_THROW(influence::fit_table(profile), core::DataError);
  profile.feature_ND = normal_table({4, 2}, 1).to(at::kFloat);
  profile.feature_ND[2].fill_(std::nanf(""));
  profile.label_NK = normal_table({4, 1}, 2).to(at::kFloat);
  profile.done_N = at::tensor(at::ArrayRef<int64_t>({1, 1, 0, 1}), at::kLong).to(at::kByte);
  const auto [feature_ND, label_NK] = influence::fit_table(profile);
  EXPECT_TRUE(feature_ND.isfinite().all().item<bool>());
  EXPECT_TRUE(at::equal(label_NK.isnan().flatten(), profile.done_N.eq(0)));
}

}  // namespace
