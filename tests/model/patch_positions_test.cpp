// SPDX-License-Identifier: Apache-2.0
#include "src/model/patch_positions.h"

#include <ATen/ATen.h>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/golden.h"

namespace mvrm::model {
namespace {

std::vector<int64_t> buckets(int64_t n, int64_t side, Compatibility mode = Compatibility::reference) {
  const at::Tensor table = position_buckets(n, side, mode, at::kFloat);
  return {table.const_data_ptr<int64_t>(), table.const_data_ptr<int64_t>() + table.numel()};
}

TEST(PatchPositions, SpreadsPatchesOverTheTable) {
  EXPECT_EQ(buckets(2, 70), (std::vector<int64_t>{0, 35}));
  EXPECT_EQ(buckets(3, 7), (std::vector<int64_t>{0, 2, 4}));
}

TEST(PatchPositions, EqualThePublishedTablesForEverySize) {
  MVRM_NEEDS_GOLDEN("posids_P70.json");
  std::ifstream file(test::golden_file("posids_P70.json"));
  const auto tables = nlohmann::json::parse(file);
  const std::pair<const char*, Compatibility> variants[] = {
      {"videoscore", Compatibility::reference}, {"hf523", Compatibility::hf523}, {"hf457", Compatibility::hf457}};
  for (const auto& [name, mode] : variants)
    for (int64_t n = 1; n <= 70; ++n)
      EXPECT_EQ(buckets(n, 70, mode), tables.at(name).at(std::to_string(n)).get<std::vector<int64_t>>()) << name << " n=" << n;
}

// The float32 arithmetic falls one below the exact quotient at these places and nowhere else (spec/idefics2.md 3.3).
TEST(PatchPositions, UnderflowsWhereTheReferenceDoes) {
  const std::map<int64_t, std::vector<int64_t>> lower = {
      {25, {5, 10, 15, 20}}, {49, {7, 14, 35, 42}}, {50, {5, 10, 15, 20, 30, 40}}, {55, {11, 22, 33, 44}}, {58, {29}}};
  for (int64_t n = 1; n <= 70; ++n) {
    const std::vector<int64_t> got = buckets(n, 70);
    for (int64_t i = 0; i < n; ++i) {
      const auto entry = lower.find(n);
      const bool is_lower = entry != lower.end() && std::count(entry->second.begin(), entry->second.end(), i) > 0;
      EXPECT_EQ(got[static_cast<size_t>(i)], i * 70 / n - (is_lower ? 1 : 0)) << "n=" << n << " i=" << i;
    }
  }
}

TEST(PatchPositions, APatchWithOneRealPixelCountsInTheReferenceOnly) {
  at::Tensor mask_RHW = at::zeros({1, 5, 8}, at::kBool);   // patches of 2: two rows, four columns, the fifth pixel row is cut
  mask_RHW.narrow(1, 0, 3).narrow(2, 0, 5).fill_(true);
  const at::Tensor any = patch_mask(mask_RHW, 2, Compatibility::reference), all = patch_mask(mask_RHW, 2, Compatibility::hf523);
  EXPECT_TRUE(at::equal(any[0], at::tensor({1, 1, 1, 0, 1, 1, 1, 0}, at::kLong).view({2, 4}) != 0));
  EXPECT_TRUE(at::equal(all[0], at::tensor({1, 1, 0, 0, 0, 0, 0, 0}, at::kLong).view({2, 4}) != 0));
  ModelConfig config;
  config.vision.image_size = 8;
  config.vision.patch_size = 2;   // 4 x 4 table; 2 x 3 real patches: rows 0, 2 and columns 0, 1, 2
  EXPECT_TRUE(at::equal(position_ids(any, config, at::kFloat)[0], at::tensor({0, 1, 2, 0, 8, 9, 10, 0}, at::kLong).view({2, 4})));
}

}  // namespace
}  // namespace mvrm::model
