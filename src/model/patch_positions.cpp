// SPDX-License-Identifier: Apache-2.0
// R images, H W pixels, h w patches, P positions a side.
#include "patch_positions.h"

#include <ATen/ATen.h>
#include <map>
#include <mvrm/core/error.h>
#include <utility>

namespace mvrm::model {
namespace {

at::Tensor fractions(int64_t n, Compatibility compatibility, at::ScalarType pixel_dtype) {
  const at::Tensor step = at::ones({}, at::kFloat) / static_cast<double>(n);
  switch (compatibility) {
    case Compatibility::reference: return at::arange(0, 1 - 1e-6, step.item<float>(), at::kFloat);
    case Compatibility::hf523: return (at::arange(n, at::kFloat) * step).clamp_max(1 - 1e-6);
    case Compatibility::hf457: return at::arange(n, at::TensorOptions().dtype(pixel_dtype)) / static_cast<double>(n) * (1 - 1e-6);
  }
  MVRM_CHECK(false, "unknown compatibility ", static_cast<int>(compatibility));
}

}  // namespace

core::Tensor position_buckets(int64_t n, int64_t side, Compatibility compatibility, at::ScalarType pixel_dtype) {
  const double spacing = 1.0 / static_cast<double>(side);
  const at::Tensor boundaries = at::arange(spacing, 1.0, spacing, at::kFloat);
  const at::Tensor fraction_n = fractions(n, compatibility, pixel_dtype);
  MVRM_CHECK(fraction_n.size(0) == n, "position table of ", n, " patches came out with ", fraction_n.size(0));
  // Every value is exact in double, so the comparison is the reference's.
  return at::bucketize(fraction_n.to(at::kDouble), boundaries.to(at::kDouble), /*out_int32=*/false, /*right=*/true).clamp_max_(side - 1);
}

core::Tensor patch_mask(const core::Tensor& pixel_mask_RHW, int64_t patch_size, Compatibility compatibility) {
  const int64_t images = pixel_mask_RHW.size(0), rows = pixel_mask_RHW.size(1) / patch_size, columns = pixel_mask_RHW.size(2) / patch_size;
  const at::Tensor windows = pixel_mask_RHW.narrow(1, 0, rows * patch_size)
                                 .narrow(2, 0, columns * patch_size)
                                 .reshape({images, rows, patch_size, columns, patch_size})
                                 .to(at::kBool);
  return compatibility == Compatibility::reference ? windows.any(4).any(2) : windows.all(4).all(2);
}

core::Tensor position_ids(const core::Tensor& mask_Rhw, const ModelConfig& config, at::ScalarType pixel_dtype) {
  const int64_t side = config.vision.image_size / config.vision.patch_size;
  const at::Tensor mask = mask_Rhw.cpu();
  at::Tensor ids_Rhw = at::zeros(mask.sizes(), at::kLong);
  const at::Tensor height_R = mask.select(2, 0).sum(1), width_R = mask.select(1, 0).sum(1);
  std::map<std::pair<int64_t, int64_t>, at::Tensor> grids;   // frames of a clip share one size
  for (int64_t r = 0; r < mask.size(0); ++r) {
    const int64_t height = height_R.const_data_ptr<int64_t>()[r], width = width_R.const_data_ptr<int64_t>()[r];
    if (height == 0 || width == 0) continue;
    at::Tensor& grid = grids[{height, width}];
    if (!grid.defined())
      grid = position_buckets(height, side, config.compatibility, pixel_dtype).unsqueeze(1) * side +
             position_buckets(width, side, config.compatibility, pixel_dtype);
    ids_Rhw[r].narrow(0, 0, height).narrow(1, 0, width).copy_(grid);
  }
  return ids_Rhw.masked_fill_(mask.logical_not(), 0).to(mask_Rhw.device());
}

}  // namespace mvrm::model
