// SPDX-License-Identifier: Apache-2.0
// One micro-batch, ready for the model: padded ids, the real images of all samples in order, labels.
#pragma once
#include <memory>
#include <mvrm/core/tensor.h>
#include <mvrm/data/dataset.h>
#include <string>
#include <vector>

namespace mvrm::data {

struct Batch {
  std::vector<std::string> ids;           // B
  core::Tensor input_ids_BL;              // int64, right-padded with the model's pad id
  core::Tensor attention_mask_BL;         // int64, 1 = real token
  core::Tensor pixels_RCHW;               // float32, R real images of all samples, sample-major; undefined when there are none
  core::Tensor pixel_mask_RHW;            // bool; undefined = every pixel is real
  core::Tensor label_BK;                  // float32, NaN = no label
  int64_t size() const { return input_ids_BL.size(0); }
};

// Pads ids to the longest, pixels to the largest H x W. `pad_id` is the model's pad token.
Batch collate(const std::vector<std::shared_ptr<const Example>>& examples, const preprocess::ImageTransformConfig& image_config,
              int64_t pad_id);
// From the Hugging Face layout [B, N, 3, H, W]: drops images in which every value is 0 (spec/idefics2.md 3.1).
void set_padded_images(Batch& batch, const core::Tensor& pixels_BNCHW, const core::Tensor& mask_BNHW);

}  // namespace mvrm::data
