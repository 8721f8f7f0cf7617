// SPDX-License-Identifier: Apache-2.0
// Which patches are real and which learned position each takes, in the three variants of Compatibility (spec/idefics2.md 3.2 and 3.3).
#pragma once
#include <mvrm/core/tensor.h>
#include <mvrm/model/model_config.h>

namespace mvrm::model {

// Rows of the P x P table for n patches spread over it: int64 [n], ascending. `pixel_dtype` matters to hf457 alone.
core::Tensor position_buckets(int64_t n, int64_t side, Compatibility compatibility, at::ScalarType pixel_dtype);

// bool [R,hp,wp] from bool [R,H,W]: `reference` counts a patch with any real pixel, the newer versions want all of them.
core::Tensor patch_mask(const core::Tensor& pixel_mask_RHW, int64_t patch_size, Compatibility compatibility);

// int64 [R,hp,wp]; masked patches get 0. The real patches of an image form a rectangle at the top left.
core::Tensor position_ids(const core::Tensor& mask_Rhw, const ModelConfig& config, at::ScalarType pixel_dtype);

}  // namespace mvrm::model
