// SPDX-License-Identifier: Apache-2.0
// Examples into a batch: padding, masks, and labels where there are some.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/data/batch.h>

#include <cmath>

namespace {

using mvrm::data::Batch;
using mvrm::data::collate;
using mvrm::data::Example;

// `images` of height x width, all of one level.
std::shared_ptr<const Example> example(const char* id, std::vector<int64_t> ids, std::array<int64_t, 3> size, int64_t level,
                                       std::vector<float> label_K) {
  auto result = std::make_shared<Example>(Example{.id = id, .input_ids = std::move(ids), .label_K = std::move(label_K)});
  if (size[0] > 0) result->pixels.levels_NCHW = at::full({size[0], 3, size[1], size[2]}, level, at::kByte);
  return result;
}

TEST(Batch, PadsIdsOnTheRightAndMasksThem) {
  const Batch batch =
      collate({example("a", {1, 7, 8}, {1, 2, 2}, 0, {1, 2}), example("b", {1, 9, 9, 9, 5}, {1, 2, 2}, 0, {3, NAN})}, {}, 4);
  EXPECT_EQ(batch.ids, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(batch.size(), 2);
  EXPECT_TRUE(at::equal(batch.input_ids_BL, at::tensor({1, 7, 8, 4, 4, 1, 9, 9, 9, 5}, at::kLong).view({2, 5})));
  EXPECT_TRUE(at::equal(batch.attention_mask_BL, at::tensor({1, 1, 1, 0, 0, 1, 1, 1, 1, 1}, at::kLong).view({2, 5})));
  EXPECT_EQ(batch.label_BK.sizes(), at::IntArrayRef({2, 2}));
  EXPECT_EQ(batch.label_BK[0][1].item<float>(), 2);
  EXPECT_TRUE(std::isnan(batch.label_BK[1][1].item<float>()));
}

// Level 255 is 1.0 and level 0 is -1.0 after normalisation with mean and deviation 0.5; padding is exactly 0.
TEST(Batch, PadsPicturesToTheLargestAndMasksThem) {
  const Batch batch = collate({example("a", {1}, {2, 2, 3}, 255, {1}), example("b", {1}, {1, 4, 2}, 0, {1})}, {}, 0);
  EXPECT_EQ(batch.pixels_RCHW.sizes(), at::IntArrayRef({3, 3, 4, 3}));
  EXPECT_EQ(batch.pixel_mask_RHW.sizes(), at::IntArrayRef({3, 4, 3}));
  EXPECT_EQ(batch.pixel_mask_RHW.sum().item<int64_t>(), 2 * 6 + 8);
  EXPECT_EQ(batch.pixels_RCHW[0][0][1][2].item<float>(), 1.0F);
  EXPECT_EQ(batch.pixels_RCHW[1][2][2][0].item<float>(), 0.0F);  // below the picture
  EXPECT_EQ(batch.pixels_RCHW[2][1][3][1].item<float>(), -1.0F);
  EXPECT_EQ(batch.pixels_RCHW[2][1][3][2].item<float>(), 0.0F);  // right of it
}

TEST(Batch, PicturesOfOneSizeNeedNoMask) {
  const Batch batch = collate({example("a", {1}, {2, 2, 2}, 255, {1}), example("b", {1}, {1, 2, 2}, 0, {1})}, {}, 0);
  EXPECT_EQ(batch.pixels_RCHW.size(0), 3);
  EXPECT_FALSE(batch.pixel_mask_RHW.defined());
}

TEST(Batch, TextAloneHasNoPixels) {
  const Batch batch = collate({example("a", {1, 2}, {0, 0, 0}, 0, {})}, {}, 0);
  EXPECT_FALSE(batch.pixels_RCHW.defined());
  EXPECT_EQ(batch.label_BK.size(1), 0);
}

TEST(Batch, AnUnlabelledExampleBesideLabelledOnesHasNoLabels) {
  const Batch batch = collate({example("a", {1}, {0, 0, 0}, 0, {}), example("b", {1}, {0, 0, 0}, 0, {1, 2})}, {}, 0);
  EXPECT_TRUE(batch.label_BK[0].isnan().all().item<bool>());
  EXPECT_EQ(batch.label_BK[1][1].item<float>(), 2);
}

TEST(Batch, AnEmptyBatchIsABrokenContract) { EXPECT_THROW(collate({}, {}, 0), mvrm::core::Error); }

// Hugging Face pads a sample with pictures that are 0 everywhere; they are no pictures.
TEST(Batch, PicturesOfZerosAreDropped) {
  Batch batch;
  at::Tensor pixels_BNCHW = at::zeros({2, 2, 3, 2, 2});
  pixels_BNCHW[0][0].fill_(0.5);
  pixels_BNCHW[1][1][2][1][1] = -0.25;
  mvrm::data::set_padded_images(batch, pixels_BNCHW, at::ones({2, 2, 2, 2}, at::kBool));
  EXPECT_EQ(batch.pixels_RCHW.size(0), 2);
  EXPECT_EQ(batch.pixels_RCHW[1][2][1][1].item<float>(), -0.25F);
}

}  // namespace
