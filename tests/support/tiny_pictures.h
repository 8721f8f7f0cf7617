// SPDX-License-Identifier: Apache-2.0
// A processor of the tiny vocabulary, and small pictures on disk.
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
inline data::Processor tiny_processor() {
  const auto golden = nlohmann::json::parse(core::read_file(committed_golden_file("tokenizer.json")));
  const auto added = golden.at("tiny").at("added").get<std::map<std::string, int64_t>>();
  return {.tokenizer = text::Tokenizer(committed_golden_file("tiny_tokenizer.model"), added, text::PrefixMode::per_segment),
          .text_config = {.image_seq_len = 2, .do_image_splitting = false},
          .prompt_template = {"{text_prompt}"},
          .image_config = {.shortest_edge = 8, .longest_edge = 12},
          .sample_rule = {}};
}

// `rgb`: height x width x 3 bytes.
inline void write_png(const std::filesystem::path& path, uint32_t height, uint32_t width, const std::vector<uint8_t>& rgb) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.format = PNG_FORMAT_RGB;
  image.height = height;
  image.width = width;
  if (png_image_write_to_file(&image, path.c_str(), 0, rgb.data(), 0, nullptr) == 0) throw std::runtime_error(path.string());
}

}  // namespace mvrm::test
