// SPDX-License-Identifier: Apache-2.0
// The validation part of a test split.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/eval/split.h>

#include <algorithm>
#include <set>

#include "tests/support/program.h"

namespace {

using namespace mvrm;

std::vector<std::string> ids(int count) {
  std::vector<std::string> list;
  for (int i = 0; i < count; ++i) list.push_back("id" + std::to_string(i));
  return list;
}

TEST(Split, FortyPercentOfTheIdsDisjointAndWhole) {
  const auto all = ids(760);
  const auto split = eval::split_by_id(all, 42);
  EXPECT_EQ(split.validation.size(), 304U);
  EXPECT_EQ(split.test.size(), 456U);
  EXPECT_NO_THROW(eval::check_disjoint(split.validation, split.test, "split"));
  std::set<std::string> together(split.validation.begin(), split.validation.end());
  together.insert(split.test.begin(), split.test.end());
  EXPECT_EQ(together, std::set<std::string>(all.begin(), all.end()));
  EXPECT_EQ(eval::split_by_id(ids(5), 1, 0.0).validation.size(), 0U);
  EXPECT_EQ(eval::split_by_id(ids(5), 1, 1.0).test.size(), 0U);
}

TEST(Split, DependsOnSeedAndIdsNotOnTheirOrder) {
  auto reversed = ids(100);
  std::reverse(reversed.begin(), reversed.end());
  const auto as_set = [](std::vector<std::string> list) { return std::set<std::string>(list.begin(), list.end()); };
  EXPECT_EQ(as_set(eval::split_by_id(ids(100), 7).validation), as_set(eval::split_by_id(reversed, 7).validation));
  EXPECT_NE(eval::split_by_id(ids(100), 7).validation, eval::split_by_id(ids(100), 8).validation);
  auto repeated = ids(100);
  repeated.insert(repeated.end(), {"id3", "id4"});
  EXPECT_EQ(as_set(eval::split_by_id(repeated, 7).validation), as_set(eval::split_by_id(ids(100), 7).validation));
}

// Every id is chosen about as often as another: 200 seeds, 40 % of 20 ids; 80 expected, standard deviation 6.9.
TEST(Split, EveryIdHasTheSameChance) {
  std::map<std::string, int> chosen;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    for (const auto& id : eval::split_by_id(ids(20), seed).validation) ++chosen[id];
  }
  for (const auto& [id, times] : chosen) {
    EXPECT_GT(times, 50) << id;
    EXPECT_LT(times, 110) << id;
  }
}

TEST(Split, FileRoundTripAndLeakage) {
  const test::Scratch scratch("split");
  const auto split = eval::split_by_id(ids(10), 1);
  eval::write_split(scratch.path / "s.jsonl", split);
  const auto read = eval::read_split(scratch.path / "s.jsonl");
  EXPECT_EQ(read.validation, split.validation);
  EXPECT_EQ(read.test, split.test);
  core::write_file_atomic(scratch.path / "s.jsonl", "{\"id\": \"x\", \"split\": \"validation\"}\n{\"id\": \"x\", \"split\": \"test\"}\n");
  try {
    eval::read_split(scratch.path / "s.jsonl");
    FAIL() << "a leak was accepted";
  } catch (const core::DataError& error) {
    EXPECT_NE(std::string(error.what()).find("s.jsonl:2: sample 'x': is in both the validation and the test part"), std::string::npos) << error.what();
  }
  EXPECT_THROW(eval::check_disjoint({"a", "b"}, {"c", "b"}, "lists"), core::DataError);
}

TEST(Split, RowsAreTakenById) {
  const eval::Predictions all{.ids = {"x", "y", "x", "z"}, .dimensions = {"a"}, .reward_NK = at::arange(4, at::kDouble).view({4, 1}), .label_NK = at::zeros({4, 1})};
  const auto some = eval::rows_with_ids(all, {"z", "x"});
  EXPECT_EQ(some.ids, (std::vector<std::string>{"x", "x", "z"}));
  EXPECT_TRUE(at::equal(some.reward_NK, at::tensor({0.0, 2.0, 3.0}, at::kDouble).view({3, 1})));
  EXPECT_THROW(eval::rows_with_ids(all, {"w"}), core::DataError);
}

}  // namespace
