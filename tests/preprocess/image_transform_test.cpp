// SPDX-License-Identifier: Apache-2.0
// The image processor against Hugging Face's (the Pillow one): resizing, splitting, normalising, padding.
#include <mvrm/preprocess/image_transform.h>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/safetensors.h>

#include "tests/support/fidelity.h"
#include "tests/support/golden.h"
#include "tests/support/program.h"

namespace mvrm::preprocess {
namespace {

TEST(ImageTransform, StretchesAShortSideAndNormalises) {
  ImageTransformConfig config;
  config.shortest_edge = 4;
  config.longest_edge = 8;
  const video::Frames frames{.frames = {{.height = 2, .width = 6, .rgb_HWC = std::vector<uint8_t>(36, 255)}}, .indices = {0}, .start_seconds = {0}, .total = 1};
  const Pixels pixels = transform(frames, config);
  EXPECT_EQ(pixels.levels_NCHW.sizes(), (at::IntArrayRef{1, 3, 4, 6}));
  EXPECT_EQ(normalise(pixels, config).min().item<float>(), 1.0F);
}

core::SafetensorsFile golden() { return core::SafetensorsFile::open(test::golden_file("image.safetensors")); }

video::Frame frame_of(const at::Tensor& rgb_HWC) {
  const at::Tensor bytes = rgb_HWC.contiguous();
  return {.height = bytes.size(0), .width = bytes.size(1),
          .rgb_HWC = {bytes.const_data_ptr<uint8_t>(), bytes.const_data_ptr<uint8_t>() + bytes.numel()}};
}

TEST(ImageTransform, EveryResizeFixtureIsBitExact) {
  MVRM_NEEDS_GOLDEN("image.safetensors");
  const auto file = golden();
  test::Fidelity fidelity("Pillow bilinear resize, fixtures", 0);
  for (int64_t i = 0; file.find("resize." + std::to_string(i) + ".src"); ++i) {
    const std::string name = "resize." + std::to_string(i);
    const video::Frame want = frame_of(file.tensor(name + ".dst"));
    const video::Frame got = resize_bilinear(frame_of(file.tensor(name + ".src")), {want.height, want.width});
    fidelity.add("pictures that differ", got.rgb_HWC == want.rgb_HWC ? 0 : 1, name);
  }
  EXPECT_GE(fidelity.count(), 11);
}

TEST(ImageTransform, ThePublishedSizesAreReached) {
  MVRM_NEEDS_GOLDEN("manifest.json");
  test::Fidelity fidelity("resize rule", 0);
  const auto manifest = test::golden_json("manifest.json");
  for (const auto& [from, to] : manifest.at("image").at("resize_rule").items()) {
    const int64_t height = std::stoll(from), width = std::stoll(from.substr(from.find('x') + 1));
    const Size got = resized_size({height, width}, {});
    fidelity.add("sizes that differ", got.height == to[0].get<int64_t>() && got.width == to[1].get<int64_t>() ? 0 : 1, from);
  }
  EXPECT_GE(fidelity.count(), 19);
}

TEST(ImageTransform, The256LevelsNormaliseBitExactly) {
  MVRM_NEEDS_GOLDEN("image.safetensors");
  const Pixels pixels{.levels_NCHW = at::arange(256, at::kByte).view({1, 1, 1, 256}).expand({1, 3, 1, 256}).contiguous(), .mask_NHW = {}};
  const at::Tensor got = normalise(pixels, {}), want = golden().tensor("normalise_lut");
  test::Fidelity fidelity("normalisation table", 0);
  for (int64_t channel = 0; channel < 3; ++channel)
    fidelity.add("values that differ", got[0][channel][0].ne(want).sum().item<double>(), std::to_string(channel));
}

// pixel_values as they are, or a byte and a table of levels (scripts/subset_golden.py).
at::Tensor pixel_values(const core::SafetensorsFile& file, const std::string& set, const at::Tensor& mask_BNHW) {
  if (file.find(set + ".pixel_values")) return file.tensor(set + ".pixel_values");
  return file.tensor(set + ".pixel_level").index({file.tensor(set + ".pixel_code").to(at::kLong)}) * mask_BNHW.unsqueeze(2);
}

// One sample's pictures through the transform, against row `b` of the padded batch of the reference.
void compare_sample(const core::SafetensorsFile& file, const std::string& set, int64_t b, const ImageTransformConfig& config, test::Fidelity& fidelity) {
  video::Frames frames;
  for (int64_t n = 0;; ++n) {
    const std::string key = set + ".src." + std::to_string(b) + "." + std::to_string(n);
    if (!file.find(key)) break;
    frames.frames.push_back(frame_of(file.tensor(key)));
  }
  const Pixels pixels = transform(frames, config);
  const int64_t count = pixels.count(), height = pixels.levels_NCHW.size(2), width = pixels.levels_NCHW.size(3);
  const at::Tensor got_mask = pixels.mask_NHW.defined() ? pixels.mask_NHW : at::ones({count, height, width}, at::kBool);
  const at::Tensor mask_BNHW = file.tensor(set + ".pixel_attention_mask") != 0;
  at::Tensor padded_mask = at::zeros_like(mask_BNHW[b]);
  padded_mask.narrow(0, 0, count).narrow(1, 0, height).narrow(2, 0, width).copy_(got_mask);
  const std::string detail = set + " sample " + std::to_string(b);
  fidelity.add("masks that differ", at::equal(padded_mask, mask_BNHW[b]) ? 0 : 1, detail);
  const bool levels = file.find(set + ".pixel_values_u8") != nullptr;   // this set was stored before normalisation
  const at::Tensor want = levels ? file.tensor(set + ".pixel_values_u8")[b] : pixel_values(file, set, mask_BNHW)[b];
  at::Tensor padded = at::zeros_like(want);
  padded.narrow(0, 0, count).narrow(2, 0, height).narrow(3, 0, width).copy_(levels ? pixels.levels_NCHW : normalise(pixels, config));
  fidelity.add("pixel values that differ", padded.ne(want).sum().item<double>(), detail);
}

TEST(ImageTransform, WholeSamplesAreBitExact) {
  MVRM_NEEDS_GOLDEN("image.safetensors");
  const auto file = golden();
  test::Fidelity fidelity("image processor", 0);
  const auto manifest = test::golden_json("manifest.json");
  for (const auto& [set, rule] : manifest.at("image").at("sets").items()) {
    ImageTransformConfig config;
    config.shortest_edge = rule.at("size").at("shortest_edge").get<int64_t>();
    config.longest_edge = rule.at("size").at("longest_edge").get<int64_t>();
    config.do_image_splitting = rule.at("do_image_splitting").get<bool>();
    for (int64_t b = 0; b < rule.at("out_shape")[0].get<int64_t>(); ++b) compare_sample(file, set, b, config, fidelity);
  }
  EXPECT_GE(fidelity.count(), 14);
}

TEST(ImageTransform, RefusesBadProcessorFiles) {
  const test::Scratch scratch("preprocessor");
  const auto error_of = [&](const std::string& text) -> std::string {
    std::ofstream(scratch.path / "preprocessor_config.json") << text;
    try {
      load_image_transform(scratch.path);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.status(), core::ExitStatus::model);
      EXPECT_EQ(std::string(error.what()).rfind((scratch.path / "preprocessor_config.json").string(), 0), 0U);
      return error.what();
    }
    return "no error";
  };
  EXPECT_NE(error_of("[1]").find("must be a JSON object"), std::string::npos);
  EXPECT_NE(error_of(R"({"size": {"shortest_edge": null}})").find("shortest_edge"), std::string::npos);
  EXPECT_NE(error_of(R"({"size": {"shortest_edge": 900, "longest_edge": 100}})").find("1 <= shortest_edge"), std::string::npos);
  EXPECT_NE(error_of(R"({"image_std": [0.5, 0, 0.5]})").find("image_std"), std::string::npos);
  EXPECT_EQ(error_of("{}"), "no error");
}

}  // namespace
}  // namespace mvrm::preprocess
