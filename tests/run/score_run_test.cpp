// SPDX-License-Identifier: Apache-2.0
// Scoring folders of frames: alone, twice, in a batch, over ranks; what --json and --dump-features hold.
#include <mvrm/run/score_run.h>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/safetensors.h>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/program.h"
#include "tests/support/tiny_model_dir.h"

namespace mvrm::run {
namespace {

class ScoreRun : public testing::Test {
 protected:
  void SetUp() override {
    test::write_tiny_model_dir(scratch_.path / "model");
    for (uint32_t clip = 0; clip < 5; ++clip) {
      const auto folder = scratch_.path / ("clip" + std::to_string(clip));
      std::filesystem::create_directories(folder);
      for (uint32_t frame = 0; frame < 16; ++frame)
        test::write_picture(folder / (std::string(frame < 10 ? "0" : "") + std::to_string(frame) + ".png"), 8, 12, 100 * clip + frame);
    }
  }
  ScoreRunOptions options(const std::vector<int>& clips) const {
    ScoreRunOptions made;
    made.model_dir = scratch_.path / "model";
    made.prompt = "a dog runs";
    made.keep_features = true;
    for (const int clip : clips) made.frame_folders.push_back(scratch_.path / ("clip" + std::to_string(clip)));
    return made;
  }
  static ScoreResult score(const ScoreRunOptions& wanted) { return score_run(wanted, *dist::make_single(), {}); }

  test::Scratch scratch_{"score_run"};
};

TEST_F(ScoreRun, AClipOf16FramesScoresTheSameAloneTwiceAndInABatch) {
  const at::Tensor alone_K = score(options({0})).predictions.reward_NK[0];
  EXPECT_TRUE(at::equal(score(options({0})).predictions.reward_NK[0], alone_K)) << "the same call, the same bits";
  const ScoreResult together = score(options({1, 0, 2, 3, 0, 4}));
  for (const int64_t row : {1, 4}) EXPECT_LE((together.predictions.reward_NK[row] - alone_K).abs().max().item<double>(), 1e-5);
  EXPECT_GT((together.predictions.reward_NK[0] - alone_K).abs().max().item<double>(), 1e-3) << "another clip scores otherwise";
  EXPECT_EQ(together.predictions.frame_indices[1].size(), 16U);
}

TEST_F(ScoreRun, TwoRanksGiveTheResultOfOne) {
  const ScoreRunOptions wanted = options({0, 1, 2, 3, 4});
  const ScoreResult one = score(wanted);
  auto ranks = dist::make_thread_ranks(2);
  std::vector<ScoreResult> results(2);
  std::vector<std::thread> threads;
  for (size_t r = 0; r < 2; ++r) threads.emplace_back([&, r] { results[r] = score_run(wanted, *ranks[r], {}); });
  for (auto& thread : threads) thread.join();
  for (const ScoreResult& result : results) {
    EXPECT_TRUE(at::allclose(result.predictions.reward_NK, one.predictions.reward_NK, 1e-5, 1e-5));
    EXPECT_TRUE(at::allclose(result.predictions.feature_ND, one.predictions.feature_ND, 1e-5, 1e-5));
    EXPECT_EQ(result.predictions.input_ids, one.predictions.input_ids);
    EXPECT_EQ(result.predictions.frame_indices, one.predictions.frame_indices);
  }
}

TEST_F(ScoreRun, DumpsFeaturesAndInputIds) {
  const ScoreResult result = score(options({0, 1}));
  write_features(scratch_.path / "features.safetensors", result.predictions);
  const auto file = core::SafetensorsFile::open(scratch_.path / "features.safetensors");
  const model::RewardModel model = model::load_reward_model(scratch_.path / "model", at::kFloat);
  const auto& head = model.parameters.back();
  EXPECT_TRUE(at::allclose(at::linear(file.tensor("feature"), head[1], head[2]), file.tensor("prediction"), 1e-5, 1e-5)) << "the head's input";
  const at::Tensor ids_NL = file.tensor("input_ids");
  EXPECT_EQ(file.tensor("length")[0].item<int64_t>(), ids_NL.size(1));
  EXPECT_EQ((ids_NL[0] == model.config.image_token_id).sum().item<int64_t>(), 16 * 2);
  EXPECT_EQ(ids_NL[0][0].item<int64_t>(), 1);
}

TEST_F(ScoreRun, JsonHasTheShapeOfTheContract) {
  const auto document = nlohmann::json::parse(score_json(score(options({2}))));
  EXPECT_EQ(document["dimensions"].size(), 2U);
  const auto& row = document["results"][0];
  EXPECT_EQ(row["video"], (scratch_.path / "clip2").string());
  EXPECT_TRUE(row["scores"]["dimension 0"].is_number());
  EXPECT_EQ(row["frame_indices"].size(), 16U);
  EXPECT_GT(row["tokens"].get<int64_t>(), 32);
  EXPECT_TRUE(row["error"].is_null());
}

}  // namespace
}  // namespace mvrm::run
