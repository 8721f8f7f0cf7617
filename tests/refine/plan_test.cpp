// SPDX-License-Identifier: Apache-2.0
// The plan as a file, and corrected labels in it.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/refine/strategy.h>

#include <cmath>

#include "tests/refine/hand_profile.h"
#include "tests/support/program.h"

namespace {

using namespace mvrm;
using test::kNan;
using test::profile_of;
using test::table;

class PlanFile : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& text) {
    core::write_file_atomic(path_, text);
    return path_;
  }
  void expect_error(const std::string& text, const std::vector<std::string>& parts) {
    try {
      refine::read_plan(write(text));
      FAIL() << "accepted: " << text;
    } catch (const core::DataError& error) {
      for (const auto& part : parts) EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << "no '" << part << "' in " << error.what();
    }
  }
  test::Scratch scratch_{"refine_plan"};
  std::filesystem::path path_ = scratch_.path / "plan.jsonl";
};

TEST_F(PlanFile, ReadsBackWhatWasWritten) {
  const auto profile = profile_of({"a", "b \"quoted\"", "ümlaut"}, table({{4, 1}, {9, 2}, {1, 8}}));
  for (const std::string strategy : {"none", "ddp", "ddr", "mask", "ddp+ddr"}) {
    const auto plan = refine::refine(profile, {.strategy = strategy, .alpha_percent_K = {30, 20}, .tau = 0.5}).first;
    refine::write_plan(path_, plan);
    const auto again = refine::read_plan(path_);
    EXPECT_EQ(again.ids, plan.ids);
    EXPECT_EQ(again.dimensions, plan.dimensions);
    EXPECT_EQ(again.keep_N, plan.keep_N);
    EXPECT_TRUE(at::equal(again.weight_NK, plan.weight_NK));   // to the bit
    EXPECT_EQ(again.header, plan.header);
    EXPECT_FALSE(again.label_NK.defined());
    EXPECT_EQ(again.header["strategy"], strategy);
    EXPECT_EQ(again.header["data_hash"], "data");
  }
}

TEST_F(PlanFile, IsWhatTheContractSays) {
  refine::write_plan(path_, refine::keep_all({"a"}, {"x", "y"}));
  EXPECT_EQ(test::slurp(path_), "{\"dimensions\":[\"x\",\"y\"],\"strategy\":\"none\"}\n{\"id\":\"a\",\"keep\":true,\"weight\":{\"x\":1.0,\"y\":1.0}}\n");
}

constexpr const char* kHeader = "{\"strategy\":\"ddp\",\"dimensions\":[\"x\",\"y\"]}\n";
constexpr const char* kRow = "{\"id\":\"a\",\"keep\":true,\"weight\":{\"x\":1,\"y\":0.5}}\n";

TEST_F(PlanFile, BadRowsAreNamed) {
  const std::string header = kHeader, row = kRow;
  EXPECT_EQ(refine::read_plan(write(header + row)).weight_NK[0][1].item<double>(), 0.5);
  expect_error("", {"plan.jsonl", "no samples"});
  expect_error(header, {"no samples"});
  expect_error("nonsense\n", {"plan.jsonl:1", "not a JSON object"});
  expect_error(row, {":1", "header"});
  expect_error(header + row + row, {":3", "duplicate id 'a'"});
  expect_error(header + "{\"id\":\"a\",\"keep\":1,\"weight\":{}}\n", {":2", "'keep'"});
  expect_error(header + "{\"id\":\"a\",\"keep\":true,\"weight\":{\"x\":1}}\n", {":2", "'weight'"});
  expect_error(header + "{\"id\":\"a\",\"keep\":true,\"weight\":{\"x\":1,\"z\":1}}\n", {":2", "no weight for 'y'"});
  expect_error(header + "{\"id\":\"a\",\"keep\":true,\"weight\":{\"x\":1,\"y\":-1}}\n", {":2", "'y'", ">= 0"});
  expect_error(header + "{\"id\":\"a\",\"keep\":true,\"weight\":{\"x\":1,\"y\":1},\"label\":{\"z\":1}}\n", {":2", "unknown dimension 'z'"});
  expect_error(header + "{\"id\":\"a\",\"keep\":true,\"weight\":{\"x\":1,\"y\":1},\"label\":{\"y\":\"4\"}}\n", {":2", "'y'", "number"});
}

class Corrections : public PlanFile {
 protected:
  std::vector<refine::Correction> read(const std::string& text) { return refine::read_corrections(write(text)); }
  void expect_correction_error(const std::string& text, const std::vector<std::string>& parts) {
    try {
      refine::corrected_labels(label_NK_, {"a", "b"}, {"x", "y"}, read(text));
      FAIL() << "accepted: " << text;
    } catch (const core::DataError& error) {
      for (const auto& part : parts) EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << "no '" << part << "' in " << error.what();
    }
  }
  at::Tensor label_NK_ = table({{1, 2}, {3, kNan}});
};

TEST_F(Corrections, ReplaceWithdrawAndAddLabels) {
  const auto corrections = read("{\"id\":\"a\",\"dimension\":\"x\",\"old\":1,\"new\":4,\"by\":\"ann\",\"at\":\"2026-01-31T12:00:00Z\"}\n\n"
                                "{\"id\":\"a\",\"dimension\":\"y\",\"old\":2,\"new\":null}\n"
                                "{\"id\":\"b\",\"dimension\":\"y\",\"old\":null,\"new\":3}\n"
                                "{\"id\":\"a\",\"dimension\":\"x\",\"old\":4,\"new\":2}\n");
  const at::Tensor new_NK = refine::corrected_labels(label_NK_, {"a", "b"}, {"x", "y"}, corrections);
  EXPECT_TRUE(at::equal(new_NK.nan_to_num(-1), table({{2, -1}, {3, 3}}).to(at::kFloat)));

  const auto profile = profile_of({"a", "b"}, table({{1, 1}, {1, kNan}}), label_NK_);
  auto profile_xy = profile;
  profile_xy.dimensions = {"x", "y"};
  const auto [plan, summary] = refine::refine(profile_xy, {.strategy = "correction", .corrections = corrections});
  EXPECT_TRUE(at::equal(plan.label_NK.nan_to_num(-1), table({{2, -1}, {-1, 3}}).to(at::kFloat)));
  EXPECT_TRUE(at::equal(plan.weight_NK, table({{1, 0}, {1, 1}}).to(at::kFloat)));
  EXPECT_EQ(plan.keep_N, (std::vector<uint8_t>{1, 1}));
  EXPECT_EQ(summary.changed_labels, 2);
  EXPECT_EQ(summary.removed_labels, 1);
  EXPECT_EQ(summary.count_K, (std::vector<int64_t>{1, 2}));

  refine::write_plan(path_, plan);
  const auto again = refine::read_plan(path_);
  EXPECT_TRUE(at::equal(again.label_NK.nan_to_num(-1), plan.label_NK.nan_to_num(-1)));
  EXPECT_NE(test::slurp(path_).find("\"label\":{\"x\":2.0}"), std::string::npos);
}

TEST_F(Corrections, ThatChangeNothingLeaveNoTrace) {
  const auto corrections = read("{\"id\":\"a\",\"dimension\":\"x\",\"old\":1,\"new\":4}\n{\"id\":\"a\",\"dimension\":\"x\",\"old\":4,\"new\":1}\n");
  const auto plan = refine::correction_plan({"a", "b"}, {"x", "y"}, label_NK_, corrections);
  EXPECT_FALSE(plan.label_NK.defined());
  EXPECT_TRUE(plan.weight_NK.eq(1).all().item<bool>());
}

TEST_F(Corrections, KeepToTheScaleOfTheLabels) {
  const std::string place = "{\"id\":\"a\",\"dimension\":\"x\",\"old\":1,\"new\":";
  expect_correction_error(place + "33}\n", {":1", "the new label 33 is outside the labels' scale, 1 to 4"});
  expect_correction_error(place + "0.5}\n", {":1", "the new label 0.5"});
  label_NK_[1][0] = 9;   // a benchmark with a scale of its own
  const at::Tensor new_NK = refine::corrected_labels(label_NK_, {"a", "b"}, {"x", "y"}, read(place + "8.5}\n"));
  EXPECT_EQ(new_NK[0][0].item<double>(), 8.5);
  expect_correction_error(place + "9.5}\n", {"1 to 9"});
}

TEST_F(Corrections, ForOtherDataAreRefused) {
  expect_correction_error("{\"id\":\"a\",\"dimension\":\"x\",\"old\":2,\"new\":4}\n", {":1", "was 2", "has 1"});
  expect_correction_error("{\"id\":\"c\",\"dimension\":\"x\",\"old\":2,\"new\":4}\n", {":1", "'c'", "not in the data"});
  expect_correction_error("{\"id\":\"a\",\"dimension\":\"z\",\"old\":1,\"new\":4}\n", {":1", "'z'"});
  expect_correction_error("{\"id\":\"a\",\"dimension\":\"x\",\"old\":1}\n", {":1", "'new'"});
  expect_correction_error("{\"id\":\"a\",\"dimension\":\"x\",\"old\":1,\"new\":\"4\"}\n", {":1", "'new'", "number"});
  expect_correction_error("{\"dimension\":\"x\",\"old\":1,\"new\":2}\n", {":1", "'id'"});
  expect_correction_error("[]\n", {":1", "JSON object"});
}

}  // namespace
