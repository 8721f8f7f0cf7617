// SPDX-License-Identifier: Apache-2.0
// A processor of the tiny vocabulary and samples whose frames are small pictures on disk.
#pragma once
#include <mvrm/core/files.h>
#include <mvrm/data/dataset.h>
#include <png.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/golden.h"

namespace mvrm::test {

// Two image tokens a frame, pictures of 8 x 12 at most, the prompt as it is.
inline data::Processor picture_processor() {
  const auto golden = nlohmann::json::parse(core::read_file(golden_file("tokenizer.json")));
  const auto added = golden.at("tiny").at("added").get<std::map<std::string, int64_t>>();
  return {.tokenizer = text::Tokenizer(golden_file("tiny_tokenizer.model"), added, text::PrefixMode::per_segment),
          .text_config = {.image_seq_len = 2, .do_image_splitting = false},
          .prompt_template = {"{text_prompt}"},
          .image_config = {.shortest_edge = 8, .longest_edge = 12},
          .sample_rule = {}};
}

// One grey level.
inline void write_grey(const std::filesystem::path& path, uint32_t height, uint32_t width, uint8_t level) {
  const std::vector<uint8_t> rgb(size_t{3} * height * width, level);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.format = PNG_FORMAT_RGB;
  image.height = height;
  image.width = width;
  if (png_image_write_to_file(&image, path.c_str(), 0, rgb.data(), 0, nullptr) == 0) throw std::runtime_error(path.string());
}

// Samples "s0", "s1", … of one picture of 8 x 8 each, all of one size in memory; the picture of sample n has grey level 10 n.
inline data::Manifest grey_manifest(const std::filesystem::path& folder, int64_t count) {
  data::Manifest manifest{.path = folder / "data.jsonl", .dimensions = {"quality", "motion"}, .samples = {}, .hash = "hash"};
  for (int64_t n = 0; n < count; ++n) {
    data::Sample sample{.id = "s" + std::to_string(n), .prompt = "Hello world", .line = n + 1};
    sample.images = {folder / (sample.id + ".png")};
    sample.label_K = {static_cast<float>(1 + n % 4), 2};
    write_grey(sample.images[0], 8, 8, static_cast<uint8_t>(10 * n));
    manifest.samples.push_back(std::move(sample));
  }
  return manifest;
}

}  // namespace mvrm::test
