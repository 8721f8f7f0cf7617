// SPDX-License-Identifier: Apache-2.0
// Ranked suspects by hand.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/refine/suspects.h>

#include <cmath>

#include "tests/refine/hand_profile.h"

namespace {

using namespace mvrm;
using refine::list_suspects;
using test::kNan;
using test::table;

// d0: mean 3, sd sqrt(2): z of 1..5 = -1.41 -.71 0 .71 1.41. d1: 10 10 10 50 and none: mean 20, sd sqrt(300): z = -.58 -.58 -.58 1.73.
influence::Profile hand() { return test::profile_of({"a", "b", "c,d", "e", "f"}, table({{1, 10}, {2, 10}, {3, 10}, {4, 50}, {5, kNan}})); }
std::vector<std::pair<int64_t, int64_t>> cells(const std::vector<refine::Suspect>& suspects) {
  std::vector<std::pair<int64_t, int64_t>> list;
  for (const auto& suspect : suspects) list.emplace_back(suspect.row, suspect.dimension);
  return list;
}
using Cells = std::vector<std::pair<int64_t, int64_t>>;

TEST(Suspects, AreRankedByDeviationInTheirOwnDimension) {
  const auto profile = hand();
  const auto suspects = list_suspects(profile, profile.self_influence_NK, {.count = 4});
  EXPECT_EQ(cells(suspects), (Cells{{3, 1}, {4, 0}, {3, 0}, {2, 0}}));   // 1.73, 1.41, .71, 0
  EXPECT_NEAR(suspects[0].z, 30 / std::sqrt(300.0), 1e-12);
  EXPECT_EQ(suspects[0].risk, 50);
  EXPECT_EQ(suspects[0].percentile, 100);
  EXPECT_DOUBLE_EQ(suspects[2].percentile, 80);   // 4 of 5
  EXPECT_TRUE(std::isnan(suspects[0].probability));
  EXPECT_EQ(list_suspects(profile, profile.self_influence_NK, {.count = 100}).size(), 9U);   // the unlabelled cell is no suspect
  EXPECT_EQ(list_suspects(profile, profile.self_influence_NK, {.count = 9})[8].percentile, 20);
}

TEST(Suspects, HighHereLowThere) {
  const auto profile = hand();
  // d1 at or above 100 %: e only (the three tens are at 75 %); d0 at or below 80 %: all but f.
  EXPECT_EQ(cells(list_suspects(profile, profile.self_influence_NK, {.high = {"d1"}, .low = {"d0"}, .high_percentile = 100, .low_percentile = 80})),
            (Cells{{3, 1}}));
  EXPECT_TRUE(list_suspects(profile, profile.self_influence_NK, {.high = {"d1"}, .low = {"d0"}, .high_percentile = 100, .low_percentile = 60}).empty());
  EXPECT_EQ(cells(list_suspects(profile, profile.self_influence_NK, {.high = {"d0"}, .high_percentile = 80})), (Cells{{4, 0}, {3, 0}}));
  // Only --low: every pair of the samples that are low there.
  EXPECT_EQ(cells(list_suspects(profile, profile.self_influence_NK, {.low = {"d0"}, .low_percentile = 20})), (Cells{{0, 1}, {0, 0}}));
  EXPECT_THROW(list_suspects(profile, profile.self_influence_NK, {.high = {"d7"}}), core::ConfigError);
  EXPECT_THROW(list_suspects(profile, profile.self_influence_NK, {.high_percentile = 101}), core::ConfigError);
}

TEST(Suspects, AnotherOrder) {
  const auto profile = hand();
  const auto suspects = list_suspects(profile, profile.self_influence_NK, {.count = 2}, table({{.9, .1}, {.2, .9}, {0, 0}, {0, 0}, {0, kNan}}));
  EXPECT_EQ(cells(suspects), (Cells{{1, 1}, {0, 0}}));   // equal probability: by z, -.58 before -1.41
}

TEST(Suspects, CsvAndJson) {
  auto profile = hand();
  profile.prompts[3] = "a \"dog\",\nruns";
  auto suspects = list_suspects(profile, profile.self_influence_NK, {.count = 1});
  const std::string header = "id,prompt,dimension,label,prediction,residual,risk,z,percentile,noise_probability,suggested_label\n";
  std::string csv = refine::to_csv(suspects, profile);
  EXPECT_EQ(csv.substr(0, header.size()), header);
  EXPECT_EQ(csv.substr(header.size()).find("e,\"a \"\"dog\"\",\nruns\",d1,1.0,"), 0U) << csv;
  EXPECT_EQ(csv.substr(csv.size() - 9), ",100.0,,\n");
  suspects[0].probability = 0.5;
  suspects[0].suggestion = 3;
  const auto document = refine::to_json(suspects, profile);
  EXPECT_EQ(document[0]["id"], "e");
  EXPECT_EQ(document[0]["suggested_label"], 3);
  EXPECT_EQ(document[0]["noise_probability"], 0.5);
}

}  // namespace
