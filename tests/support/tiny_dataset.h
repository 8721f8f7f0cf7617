// SPDX-License-Identifier: Apache-2.0
// A data set of small pictures on disk and a random model that reads it: for tests that go from files to rewards.
#pragma once
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/tiny_model.h"
#include "tests/support/tiny_pictures.h"

namespace mvrm::test {

// tiny_config() with the vocabulary of tests/golden/tiny_tokenizer.model.
inline model::RewardModel tiny_model_for_text(at::ScalarType dtype = at::kFloat) {
  model::ModelConfig config = tiny_config(2);
  config.text.vocab_size = 704;
  config.image_token_id = 701;
  return model::random_reward_model(config, dtype, 5);
}

inline void write_picture(const std::filesystem::path& path, uint32_t height, uint32_t width, uint32_t seed) {
  std::vector<uint8_t> rgb(size_t{3} * height * width);
  for (size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<uint8_t>((i * (seed + 3) * 7 + seed * 31) % 256);
  write_png(path, height, width, rgb);
}

// `count` samples "s0", "s1", …: one or two pictures of two sizes, prompts of several lengths, labels 1..4 for both dimensions;
// the second label is missing in every fifth sample. `broken`: that sample's picture does not exist.
inline data::Manifest tiny_manifest(const std::filesystem::path& folder, int64_t count, int64_t broken = -1) {
  const char* prompts[] = {"a dog", "a cat runs", "a dog", "two birds fly over a lake"};
  data::Manifest manifest{.path = folder / "data.jsonl", .dimensions = tiny_config(2).dimensions, .samples = {}, .hash = "hash of the file"};
  for (int64_t n = 0; n < count; ++n) {
    data::Sample sample{.id = "s" + std::to_string(n), .prompt = prompts[n % 4], .line = n + 1};
    for (int64_t f = 0; f <= n % 2; ++f) {
      sample.images.push_back(folder / (sample.id + "_" + std::to_string(f) + ".png"));
      if (n != broken) write_picture(sample.images.back(), 8, n % 3 == 0 ? 12 : 8, static_cast<uint32_t>(10 * n + f));
    }
    sample.label_K = {static_cast<float>(1 + n % 4), n % 5 == 4 ? std::nanf("") : static_cast<float>(1 + n * 3 % 4)};
    manifest.samples.push_back(std::move(sample));
  }
  return manifest;
}

}  // namespace mvrm::test
