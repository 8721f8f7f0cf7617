// SPDX-License-Identifier: Apache-2.0
// Samples whose frames are small pictures of one grey level on disk.
#pragma once
#include <filesystem>
#include <string>

#include "tests/support/tiny_pictures.h"

namespace mvrm::test {

// One grey level.
inline void write_grey(const std::filesystem::path& path, uint32_t height, uint32_t width, uint8_t level) {
  write_png(path, height, width, std::vector<uint8_t>(size_t{3} * height * width, level));
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
