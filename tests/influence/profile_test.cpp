// SPDX-License-Identifier: Apache-2.0
// The profile as a directory of files, and what it says of itself.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/safetensors.h>
#include <mvrm/influence/estimator.h>

#include <cmath>
#include <limits>
#include <thread>
#include <nlohmann/json.hpp>

#include "tests/support/program.h"

namespace {

using namespace mvrm;
namespace fs = std::filesystem;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Residuals, norms and self-influence that are exact in float32; the second label of "c" is missing.
influence::Profile small_profile(bool with_features = true) {
  influence::Profile profile{.ids = {"a", "b, \"quoted\"", "c"}, .prompts = {"a dog", "zwei Vögel", ""}, .dimensions = {"quality", "text"}};
  profile.residual_NK = at::tensor({1.0f, 2.0f, -0.5f, 3.0f, 4.0f, kNan}).view({3, 2});
  profile.label_NK = at::tensor({1.0f, 2.0f, 3.0f, 4.0f, 1.0f, kNan}).view({3, 2});
  profile.prediction_NK = at::tensor({2.0f, 4.0f, 2.5f, 7.0f, 5.0f, 1.0f}).view({3, 2});
  profile.feature_sq_norm_N = at::tensor({2.0f, 4.0f, 6.0f});
  profile.self_influence_NK = influence::closed_form(profile.residual_NK, profile.feature_sq_norm_N).to(at::kFloat);
  profile.done_N = at::ones({3}, at::kByte);
  if (with_features) profile.feature_ND = at::arange(12, at::kFloat).view({3, 4});
  profile.model_hash = "model";
  profile.data_hash = "data";
  profile.reading = "sampling all, model Float";
  return profile;
}

TEST(Profile, RoundTripKeepsEveryBit) {
  const test::Scratch scratch("profile");
  for (const bool with_features : {true, false}) {
    const auto written = small_profile(with_features);
    influence::write_profile(scratch.path, written);
    const auto read = influence::read_profile(scratch.path);
    EXPECT_EQ(read.ids, written.ids);
    EXPECT_EQ(read.prompts, written.prompts);
    EXPECT_EQ(read.dimensions, written.dimensions);
    EXPECT_EQ(read.model_hash + read.data_hash + read.reading, written.model_hash + written.data_hash + written.reading);
    EXPECT_TRUE(at::equal(read.residual_NK.view(at::kInt), written.residual_NK.view(at::kInt)));
    EXPECT_TRUE(at::equal(read.self_influence_NK.view(at::kInt), written.self_influence_NK.view(at::kInt)));
    EXPECT_EQ(read.feature_ND.defined(), with_features);
    if (with_features) {
      EXPECT_TRUE(at::equal(read.feature_ND, written.feature_ND));
    }
  }
}

TEST(Profile, FilesAreTheDocumentedOnes) {
  const test::Scratch scratch("profile");
  influence::write_profile(scratch.path, small_profile());
  const auto file = core::SafetensorsFile::open(scratch.path / "profile.safetensors");
  for (const char* name : {"self_influence", "residual", "prediction", "label"}) {
    EXPECT_EQ(file.tensor(name).sizes(), (std::vector<int64_t>{3, 2})) << name;
  }
  EXPECT_EQ(file.tensor("done").scalar_type(), at::kByte);
  EXPECT_EQ(test::slurp(scratch.path / "self_influence.csv"), "id,quality,text\na,2,8\n\"b, \"\"quoted\"\"\",1,36\nc,96,\n");
  EXPECT_EQ(test::slurp(scratch.path / "samples.jsonl").substr(0, 30), "{\"id\":\"a\",\"prompt\":\"a dog\"}\n{\"");
  const auto document = nlohmann::json::parse(test::slurp(scratch.path / "profile.json"));
  EXPECT_EQ(document.at("samples"), 3);
  EXPECT_EQ(document.at("statistics").at("text").at("count"), 2);
  EXPECT_EQ(document.at("statistics").at("text").at("mean"), 22);
}

TEST(Profile, ReadsFromAFolderThatCannotBeWritten) {
  const test::Scratch scratch("profile");
  influence::write_profile(scratch.path, small_profile());
  for (const auto& entry : fs::directory_iterator(scratch.path)) fs::permissions(entry.path(), fs::perms::owner_read);
  EXPECT_EQ(influence::read_profile(scratch.path).ids.size(), 3U);
}

TEST(Profile, BrokenFilesNameThemselves) {
  const test::Scratch scratch("profile");
  const auto refusal = [&] {
    try {
      influence::read_profile(scratch.path);
    } catch (const core::DataError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_NE(refusal().find("profile.json: not found"), std::string::npos);
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"profile.json", "{}", "profile.json: is not the summary of a finished profile"},
      {"profile.json", R"({"dimensions": [1, 2], "done": 3})", "profile.json: is not the summary"},
      {"samples.jsonl", "{\"id\": 3}\n", "samples.jsonl:1: a row needs a text 'id'"},
      {"samples.jsonl", "{\"id\": \"a\", \"prompt\": \"\"}\n", "'self_influence' is missing or of another shape"},
      {"profile.safetensors", "short", "profile.safetensors"},
  };
  for (const auto& [name, content, cause] : cases) {
    influence::write_profile(scratch.path, small_profile());
    core::write_file_atomic(scratch.path / name, content);
    EXPECT_NE(refusal().find(cause), std::string::npos) << refusal();
  }
}

TEST(Statistics, ByHand) {
  const auto all = influence::statistics(small_profile());
  ASSERT_EQ(all.size(), 2U);   // quality: S = 2, 1, 96; text: S = 8, 36
  EXPECT_EQ(all[0].count, 3);
  EXPECT_DOUBLE_EQ(all[0].mean, 33);
  EXPECT_DOUBLE_EQ(all[0].standard_deviation, std::sqrt((31.0 * 31 + 32 * 32 + 63 * 63) / 3));
  EXPECT_EQ(all[1].count, 2);
  EXPECT_DOUBLE_EQ(all[1].mean, 22);
  EXPECT_DOUBLE_EQ(all[1].standard_deviation, 14);
  EXPECT_EQ(all[1].quantiles.front(), 8);
  EXPECT_DOUBLE_EQ(all[1].quantiles[4], 22);
  EXPECT_DOUBLE_EQ(all[1].quantiles[1], 8.28);   // linear between order statistics: 8 + 0.01 * 28
  EXPECT_EQ(all[1].quantiles.back(), 36);
}

TEST(Statistics, SurvivesALargeOffset) {
  influence::Profile profile = small_profile();
  profile.self_influence_NK = (at::tensor({4.0, 7.0, 13.0, 16.0}, at::kDouble) + 1e9).view({4, 1});
  const auto all = influence::statistics(profile);
  EXPECT_NEAR(all[0].mean, 1e9 + 10, 1e-6);
  EXPECT_NEAR(all[0].standard_deviation, std::sqrt(22.5), 1e-9);
}

TEST(Statistics, StreamsMergeInAnyGrouping) {
  const double values[] = {1e8 + 1, 1e8 + 2, 1e8 + 4, 1e8 + 8, 1e8 + 16, 1e8 + 32, 1e8 + 64};   // mean 127/7, squares 5461 - 127^2/7
  for (size_t cut = 0; cut <= 7; ++cut) {
    influence::Moments left, right;
    for (size_t i = 0; i < 7; ++i) (i < cut ? left : right).add(values[i]);
    left.merge(right);
    EXPECT_EQ(left.count, 7);
    EXPECT_NEAR(left.mean, 1e8 + 127.0 / 7, 1e-6) << cut;
    EXPECT_NEAR(left.squares, 5461 - 127.0 * 127 / 7, 1e-4) << cut;
  }
  EXPECT_EQ(influence::Moments{}.standard_deviation(), 0);
}

TEST(Statistics, RanksMergeToTheBitsOfOne) {
  at::Tensor table_NK = (at::arange(3 * 517, at::kDouble).mul(0.37).sin().mul(5).add(1e6)).view({517, 3});
  table_NK.select(1, 1).slice(0, 0, 300).fill_(std::nan(""));
  table_NK.select(1, 2).fill_(std::nan(""));
  const auto one = influence::merged_moments(table_NK, *dist::make_single());
  for (const int64_t k : {0, 1}) {   // two passes, by ATen
    const at::Tensor column = table_NK.select(1, k).index({table_NK.select(1, k).isfinite()});
    const auto& moments = one[static_cast<size_t>(k)];
    EXPECT_EQ(moments.count, column.numel());
    EXPECT_NEAR(moments.mean, column.mean().item<double>(), 1e-9);
    EXPECT_NEAR(moments.standard_deviation(), column.std(false).item<double>(), 1e-9);
  }
  EXPECT_EQ(one[2].count, 0);
  for (const int64_t size : {2, 3}) {
    auto ranks = dist::make_thread_ranks(size);
    std::vector<std::vector<influence::Moments>> moments(static_cast<size_t>(size));
    std::vector<std::thread> threads;
    for (size_t r = 0; r < ranks.size(); ++r) {
      threads.emplace_back([&, r] {
        at::Tensor own_NK = at::full_like(table_NK, 7.0);   // only its own chunks are right
        for (int64_t n = 0; n < 517; ++n) {
          if (n / 64 % size == static_cast<int64_t>(r)) own_NK[n].copy_(table_NK[n]);
        }
        moments[r] = influence::merged_moments(own_NK, *ranks[r]);
      });
    }
    for (auto& thread : threads) thread.join();
    for (const auto& all : moments) {
      for (size_t k = 0; k < 3; ++k) {
        EXPECT_EQ(all[k].count, one[k].count);
        EXPECT_EQ(all[k].mean, one[k].mean) << size;
        EXPECT_EQ(all[k].squares, one[k].squares) << size;
      }
    }
  }
}

TEST(Statistics, EmptyAndConstantDimensionsAreDefined) {
  influence::Profile profile = small_profile();
  profile.label_NK.select(1, 1).fill_(kNan);   // an empty dimension, and one with equal values
  profile.residual_NK = at::tensor({1.0f, kNan, 1.0f, kNan, 1.0f, kNan}).view({3, 2});
  profile.feature_sq_norm_N.fill_(4);
  profile.self_influence_NK = influence::closed_form(profile.residual_NK, profile.feature_sq_norm_N).to(at::kFloat);
  const auto all = influence::statistics(profile);
  EXPECT_EQ(all[0].standard_deviation, 0);
  EXPECT_EQ(all[1].count, 0);
  EXPECT_TRUE(std::isnan(all[1].quantiles[4]));
  const auto similarity = influence::loss_similarity(profile, 0.5);
  EXPECT_TRUE(std::isnan(similarity.spearman_K[0])) << "nothing to rank";
  EXPECT_TRUE(std::isnan(similarity.jaccard_K[1]));
  EXPECT_TRUE(influence::dimension_correlations(profile)[0][1].isnan().item<bool>());
  const test::Scratch scratch("profile");
  influence::write_profile(scratch.path, profile);
  EXPECT_TRUE(nlohmann::json::parse(test::slurp(scratch.path / "profile.json")).at("statistics").at("text").at("quantiles")[0].is_null());
  EXPECT_EQ(influence::read_profile(scratch.path).ids.size(), 3U);
}

TEST(DimensionCorrelations, ByHand) {
  influence::Profile profile = small_profile();
  profile.self_influence_NK = at::tensor({1.0f, 4.0f, 2.0f, 3.0f, 3.0f, 1.0f, 4.0f, 2.0f, 9.0f, kNan}).view({5, 2});
  const at::Tensor correlation_KK = influence::dimension_correlations(profile);
  EXPECT_NEAR(correlation_KK[0][1].item<double>(), -0.8, 1e-12);   // ranks 1 2 3 4 against 4 3 1 2: 1 - 6 * 18 / 60
  EXPECT_EQ(correlation_KK[0][0].item<double>(), 1);
  EXPECT_EQ(correlation_KK[1][0].item<double>(), correlation_KK[0][1].item<double>());
}

TEST(Profile, RefusesAnotherDataFile) {
  const auto profile = small_profile();
  influence::check_data(profile, "data", "train.jsonl");
  try {
    influence::check_data(profile, "another hash", "train.jsonl");
    FAIL();
  } catch (const core::DataError& error) {
    EXPECT_NE(std::string(error.what()).find("train.jsonl: is not the file that the profile was made from"), std::string::npos);
  }
}

TEST(LossSimilarity, EqualNormsMeanEqualRanking) {
  influence::Profile profile = small_profile();
  profile.feature_sq_norm_N = at::full({3}, 4096.0f);
  profile.self_influence_NK = influence::closed_form(profile.residual_NK, profile.feature_sq_norm_N).to(at::kFloat);
  const auto similarity = influence::loss_similarity(profile, 50);
  EXPECT_EQ(similarity.feature_sq_norm_cv, 0);
  EXPECT_DOUBLE_EQ(similarity.spearman_K[0], 1);
  EXPECT_EQ(similarity.jaccard_K[0], 1);
}

TEST(LossSimilarity, ByHandWhenNormsDiffer) {
  influence::Profile profile = small_profile();
  profile.residual_NK = at::tensor({1.0f, 2.0f, 3.0f, 4.0f}).view({4, 1});
  profile.feature_sq_norm_N = at::tensor({100.0f, 1.0f, 1.0f, 1.0f});
  profile.self_influence_NK = influence::closed_form(profile.residual_NK, profile.feature_sq_norm_N);   // 100, 4, 9, 16
  const auto similarity = influence::loss_similarity(profile, 50);
  EXPECT_DOUBLE_EQ(similarity.feature_sq_norm_cv, std::sqrt(3.0) * 24.75 / 25.75);
  EXPECT_NEAR(similarity.spearman_K[0], -0.2, 1e-15);   // ranks 4 1 2 3 against 1 2 3 4: 1 - 6 * 12 / 60
  EXPECT_DOUBLE_EQ(similarity.jaccard_K[0], 1.0 / 3);   // {0, 3} and {2, 3}
}

}  // namespace
