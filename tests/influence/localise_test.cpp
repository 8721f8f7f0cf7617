// SPDX-License-Identifier: Apache-2.0
// Frames left out and regions hidden: against clips that are really shorter, and by hand.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/influence/localise.h>
#include <mvrm/influence/profile_pass.h>
#include <mvrm/model/forward_pass.h>

#include <cmath>

#include "tests/support/program.h"
#include "tests/support/tiny_dataset.h"

namespace {

using namespace mvrm;

class Localise : public ::testing::Test {
 protected:
  // Three frames of 8 x 8, distinct pictures.
  data::Sample sample(std::vector<int> frames) {
    data::Sample result{.id = "clip", .prompt = "a dog runs", .label_K = {2, 3}};
    for (const int f : frames) {
      const auto path = scratch_.path / (std::to_string(f) + ".png");
      if (!std::filesystem::exists(path)) test::write_picture(path, 8, 8, static_cast<uint32_t>(5 + 11 * f));
      result.images.push_back(path);
    }
    return result;
  }
  data::Example example(std::vector<int> frames) { return data::make_example(sample(std::move(frames)), processor_); }
  at::Tensor reward(const data::Example& one) {
    return model::forward(model_, data::collate({std::make_shared<data::Example>(one)}, processor_.image_config, 0)).reward_BK[0];
  }

  test::Scratch scratch_{"localise"};
  data::Processor processor_ = test::tiny_processor();
  model::RewardModel model_ = test::tiny_model_for_text();
  core::Context context_;
};

TEST_F(Localise, ALeftOutFrameIsAClipWithoutIt) {
  const auto whole = example({0, 1, 2});
  const std::vector<std::vector<int>> shorter = {{1, 2}, {0, 2}, {0, 1}};
  const auto result = influence::localise(model_, whole, processor_.image_config, {.grid = 0}, context_);
  EXPECT_TRUE(at::allclose(result.reward_K, reward(whole), 1e-5, 1e-5));
  EXPECT_FALSE(result.hidden_region_FGGK.defined());
  for (int64_t f = 0; f < 3; ++f) {
    const auto expected = example(shorter[static_cast<size_t>(f)]);
    const auto ours = influence::without_frame(whole, model_.config, f);
    ASSERT_TRUE(ours.has_value());
    EXPECT_EQ(ours->input_ids, expected.input_ids) << f;
    EXPECT_TRUE(at::equal(ours->pixels.levels_NCHW, expected.pixels.levels_NCHW)) << f;
    EXPECT_TRUE(at::allclose(result.without_frame_FK[f], reward(expected), 1e-5, 1e-5)) << f;
  }
  EXPECT_TRUE(at::allclose(result.prefix_reward_FK[0], reward(example({0})), 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(result.prefix_reward_FK[2], result.reward_K, 1e-5, 1e-5));
  const std::vector<std::vector<int>> prefixes = {{0}, {0, 1}, {0, 1, 2}};
  for (int64_t f = 0; f < 3; ++f) {
    const auto expected = example(prefixes[static_cast<size_t>(f)]);
    const auto ours = influence::up_to_frame(whole, model_.config, f);
    ASSERT_TRUE(ours.has_value());
    EXPECT_EQ(ours->input_ids, expected.input_ids) << f;
    EXPECT_EQ(ours->frame_indices.size(), expected.frame_indices.size());
    EXPECT_TRUE(at::equal(ours->pixels.levels_NCHW, expected.pixels.levels_NCHW)) << f;
    const at::Tensor feature_1D = model::forward(model_, data::collate({std::make_shared<data::Example>(expected)}, processor_.image_config, 0)).feature_BD;
    EXPECT_NEAR(result.prefix_sq_norm_F[f].item<double>(), feature_1D.to(at::kDouble).square().sum().item<double>(), 1e-3) << f;
  }
}

TEST_F(Localise, AHiddenRegionChangesItsPixelsOnly) {
  const auto whole = example({0, 1, 2});
  const at::Tensor& before = whole.pixels.levels_NCHW;
  const influence::LocaliseOptions options{.grid = 2};
  const at::Tensor after = influence::with_hidden_region(whole, 1, 0, 1, options).pixels.levels_NCHW;
  EXPECT_TRUE(at::equal(after[0], before[0]));
  EXPECT_TRUE(at::equal(after[2], before[2]));
  EXPECT_TRUE(at::equal(after[1].slice(2, 0, 4), before[1].slice(2, 0, 4))) << "the left half";
  EXPECT_TRUE(at::equal(after[1].slice(1, 4, 8), before[1].slice(1, 4, 8))) << "the lower half";
  std::vector<uint8_t> values;
  for (int64_t f = 0; f < 3; ++f) values.push_back(before[f][0][0][5].item<uint8_t>());
  std::sort(values.begin(), values.end());
  EXPECT_EQ(after[1][0][0][5].item<uint8_t>(), values[1]) << "the median over frames";
  const at::Tensor mean = influence::with_hidden_region(whole, 1, 0, 1, {.grid = 2, .fill = influence::Fill::mean}).pixels.levels_NCHW;
  EXPECT_NEAR(mean[1][2][1][6].item<double>(), before[1][2].to(at::kDouble).mean().item<double>(), 0.51);
}

TEST_F(Localise, RegionsAreScoredOneByOneOnAnyNumberOfThreads) {
  const auto whole = example({0, 1});
  const influence::LocaliseOptions options{.grid = 2, .batch = 3};
  const auto one = influence::localise(model_, whole, processor_.image_config, options, context_);
  ASSERT_EQ(one.hidden_region_FGGK.sizes(), (std::vector<int64_t>{2, 2, 2, 2}));
  EXPECT_TRUE(at::allclose(one.hidden_region_FGGK[1][0][1], reward(influence::with_hidden_region(whole, 1, 0, 1, options)), 1e-5, 1e-5));
  context_.threads = 3;
  const auto three = influence::localise(model_, whole, processor_.image_config, options, context_);
  EXPECT_TRUE(at::equal(one.hidden_region_FGGK, three.hidden_region_FGGK));
  EXPECT_TRUE(at::equal(one.without_frame_FK, three.without_frame_FK)) << one.without_frame_FK;
}

TEST_F(Localise, ARegionAloneIsAClipOfOneFrame) {
  const auto whole = example({0, 1, 2});
  const influence::LocaliseOptions options{.grid = 2, .regions = influence::Regions::alone};
  const auto result = influence::localise(model_, whole, processor_.image_config, options, context_);
  EXPECT_FALSE(result.hidden_region_FGGK.defined());
  ASSERT_EQ(result.lone_region_FGGK.sizes(), (std::vector<int64_t>{3, 2, 2, 2}));
  auto expected = example({0});   // a prompt of one frame
  const at::Tensor& levels = whole.pixels.levels_NCHW;
  expected.pixels.levels_NCHW = at::upsample_bilinear2d(levels.slice(0, 2, 3).slice(2, 0, 4).slice(3, 4, 8).to(at::kFloat), {8, 8}, false).round().to(at::kByte);
  const auto ours = influence::region_alone(whole, model_.config, 2, 0, 1, 2);
  ASSERT_TRUE(ours.has_value());
  EXPECT_EQ(ours->input_ids, expected.input_ids);
  EXPECT_TRUE(at::equal(ours->pixels.levels_NCHW, expected.pixels.levels_NCHW));
  EXPECT_TRUE(at::allclose(result.lone_region_FGGK[2][0][1], reward(expected), 1e-5, 1e-5));
  EXPECT_FALSE(at::allclose(result.lone_region_FGGK[2][0][1], result.lone_region_FGGK[2][0][0], 1e-4, 1e-4)) << "regions differ";
  const auto frame = influence::localise(model_, whole, processor_.image_config, {.grid = 1, .regions = influence::Regions::alone}, context_);
  EXPECT_TRUE(at::allclose(frame.lone_region_FGGK[0][0][0], result.prefix_reward_FK[0], 1e-5, 1e-5)) << "the whole first frame is the clip cut behind it";
}

TEST_F(Localise, FramesInsideTheTextHaveNoRegionsAlone) {
  auto one = sample({0, 1});
  one.prompt = "<image> a dog <image>";
  const auto inside = data::make_example(one, processor_);
  ASSERT_FALSE(influence::up_to_frame(inside, model_.config, 0).has_value());
  EXPECT_THROW(influence::localise(model_, inside, processor_.image_config, {.grid = 2, .regions = influence::Regions::alone}, context_), core::DataError);
}

TEST_F(Localise, OneFrameCannotBeLeftOut) {
  const auto result = influence::localise(model_, example({0}), processor_.image_config, {.grid = 1}, context_);
  EXPECT_TRUE(result.without_frame_FK.isnan().all().item<bool>());
  EXPECT_TRUE(result.hidden_region_FGGK.isfinite().all().item<bool>());
}

TEST_F(Localise, NoFramesIsAnError) {
  data::Example empty;
  empty.id = "nothing";
  EXPECT_THROW(influence::localise(model_, empty, processor_.image_config, {}, context_), core::DataError);
}

TEST(PrefixTrajectory, ByHand) {
  influence::Localisation parts;
  parts.prefix_reward_FK = at::tensor({2.0f, 2.0f, 2.5f, 1.0f, 4.0f, 1.5f}).view({3, 2});
  parts.reward_K = parts.prefix_reward_FK[2];
  parts.prefix_sq_norm_F = at::tensor({10.0f, 20.0f, 30.0f});
  const at::Tensor label_K = at::tensor({3.0f, 2.0f});   // the first is scored too high, by the last frame; the second too low, by the middle one
  const at::Tensor steps_FK = influence::prefix_steps(parts);
  EXPECT_TRUE(steps_FK[0].isnan().all().item<bool>());
  EXPECT_TRUE(at::equal(steps_FK.slice(0, 1), at::tensor({0.5f, -1.0f, 1.5f, 0.5f}).view({2, 2})));
  EXPECT_TRUE(at::allclose(influence::prefix_self_influence(parts, label_K), at::tensor({10.0f, 0.0f, 5.0f, 20.0f, 30.0f, 7.5f}).view({3, 2})));
  EXPECT_EQ(influence::frames_of_step(parts, label_K), (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(influence::frames_of_step(parts, at::tensor({4.0f, std::nanf("")})), (std::vector<int64_t>{-1, -1})) << "nothing is wrong; no label";
}

TEST(CarriedRisk, ByHand) {
  const at::Tensor reward_K = at::tensor({3.0f, 1.0f}), label_K = at::tensor({1.0f, 2.0f});
  const at::Tensor changed = at::tensor({2.0f, 1.0f, 4.0f, 2.0f}).view({2, 2});
  EXPECT_TRUE(at::equal(influence::carried_risk(reward_K, label_K, changed), at::tensor({3.0f, 0.0f, -5.0f, 1.0f}).view({2, 2})));
}

}  // namespace
