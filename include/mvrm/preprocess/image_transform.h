// SPDX-License-Identifier: Apache-2.0
// Idefics2's image processor, PIL path: resize rule, Pillow's bilinear resampling bit for bit, rescale, normalise, pad
// (spec/idefics2.md sections 4 and 5).
#pragma once
#include <array>
#include <filesystem>
#include <mvrm/preprocess/pixels.h>
#include <mvrm/video/frames.h>

namespace mvrm::preprocess {

struct ImageTransformConfig {          // preprocessor_config.json
  int64_t shortest_edge = 378, longest_edge = 980;
  bool do_resize = true, do_rescale = true, do_normalize = true, do_image_splitting = false;
  double rescale_factor = 1.0 / 255.0;
  std::array<float, 3> mean{0.5F, 0.5F, 0.5F}, std{0.5F, 0.5F, 0.5F};
};
// Reads <model_dir>/preprocessor_config.json; an absent key = the default above; an absent file, null and cyclic values throw Error (model).
ImageTransformConfig load_image_transform(const std::filesystem::path& model_dir);

struct Size { int64_t height, width; };
// Output size of the resize rule (spec/idefics2.md 4.3): small sides are stretched to shortest_edge, aspect not kept.
Size resized_size(Size input, const ImageTransformConfig& config);
// Pillow <= 12 BILINEAR, horizontal pass first, uint8 in and out.
video::Frame resize_bilinear(const video::Frame& frame, Size output);

// Splits where asked, resizes, pads to a common size. N = frames (x5 when splitting).
Pixels transform(const video::Frames& frames, const ImageTransformConfig& config);
// levels -> float32 [N,3,H,W]: float32(double(level) * rescale), then (x - mean) / std in float32; padded pixels exactly 0.
core::Tensor normalise(const Pixels& pixels, const ImageTransformConfig& config);

}  // namespace mvrm::preprocess
