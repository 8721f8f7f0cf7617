// SPDX-License-Identifier: Apache-2.0
// B samples, L tokens, R real images, K dimensions.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/data/batch.h>
#include <algorithm>
#include <limits>

namespace mvrm::data {

namespace {

void set_tokens(Batch& batch, const std::vector<std::shared_ptr<const Example>>& examples, int64_t pad_id) {
  size_t longest = 0;
  for (const auto& example : examples) longest = std::max(longest, example->input_ids.size());
  const auto rows = static_cast<int64_t>(examples.size()), length = static_cast<int64_t>(longest);
  batch.input_ids_BL = at::full({rows, length}, pad_id, at::kLong);
  batch.attention_mask_BL = at::zeros({rows, length}, at::kLong);
  for (int64_t b = 0; b < rows; ++b) {
    const auto& ids = examples[static_cast<size_t>(b)]->input_ids;
    std::copy(ids.begin(), ids.end(), batch.input_ids_BL.mutable_data_ptr<int64_t>() + b * length);
    std::fill_n(batch.attention_mask_BL.mutable_data_ptr<int64_t>() + b * length, ids.size(), int64_t{1});
  }
}

void set_pixels(Batch& batch, const std::vector<std::shared_ptr<const Example>>& examples, const preprocess::ImageTransformConfig& config) {
  int64_t images = 0, height = 0, width = 0;
  bool padded = false;
  for (const auto& example : examples) {
    const auto& levels = example->pixels.levels_NCHW;
    if (!levels.defined()) continue;
    padded = padded || example->pixels.mask_NHW.defined() || (images > 0 && (levels.size(2) != height || levels.size(3) != width));
    images += levels.size(0);
    height = std::max(height, levels.size(2));
    width = std::max(width, levels.size(3));
  }
  if (images == 0) return;
  batch.pixels_RCHW = padded ? at::zeros({images, 3, height, width}, at::kFloat) : at::empty({images, 3, height, width}, at::kFloat);
  if (padded) batch.pixel_mask_RHW = at::zeros({images, height, width}, at::kBool);
  int64_t row = 0;
  for (const auto& example : examples) {
    const auto& pixels = example->pixels;
    if (!pixels.levels_NCHW.defined()) continue;
    const int64_t n = pixels.levels_NCHW.size(0), h = pixels.levels_NCHW.size(2), w = pixels.levels_NCHW.size(3);
    batch.pixels_RCHW.slice(0, row, row + n).slice(2, 0, h).slice(3, 0, w).copy_(preprocess::normalise(pixels, config));
    if (padded) {
      at::Tensor mask = batch.pixel_mask_RHW.slice(0, row, row + n).slice(1, 0, h).slice(2, 0, w);
      if (pixels.mask_NHW.defined())
        mask.copy_(pixels.mask_NHW);
      else
        mask.fill_(true);
    }
    row += n;
  }
}

}  // namespace

Batch collate(const std::vector<std::shared_ptr<const Example>>& examples, const preprocess::ImageTransformConfig& image_config,
              int64_t pad_id) {
  MVRM_CHECK(!examples.empty(), "an empty batch");
  Batch batch;
  size_t dimensions = 0;
  for (const auto& example : examples) {
    batch.ids.push_back(example->id);
    dimensions = std::max(dimensions, example->label_K.size());
  }
  set_tokens(batch, examples, pad_id);
  set_pixels(batch, examples, image_config);
  batch.label_BK = at::full({static_cast<int64_t>(examples.size()), static_cast<int64_t>(dimensions)},
                            std::numeric_limits<float>::quiet_NaN(), at::kFloat);
  for (size_t b = 0; b < examples.size(); ++b) {
    const auto& label_K = examples[b]->label_K;
    std::copy(label_K.begin(), label_K.end(), batch.label_BK.mutable_data_ptr<float>() + b * dimensions);
  }
  return batch;
}

void set_padded_images(Batch& batch, const at::Tensor& pixels_BNCHW, const at::Tensor& mask_BNHW) {
  const at::Tensor pixels = pixels_BNCHW.flatten(0, 1);
  const at::Tensor real_index = pixels.flatten(1).ne(0).any(1).nonzero().squeeze(1);
  batch.pixels_RCHW = real_index.numel() > 0 ? pixels.index_select(0, real_index) : at::Tensor();
  batch.pixel_mask_RHW =
      real_index.numel() > 0 && mask_BNHW.defined() ? mask_BNHW.flatten(0, 1).index_select(0, real_index).gt(0) : at::Tensor();
}

}  // namespace mvrm::data
