// SPDX-License-Identifier: Apache-2.0
// Models large enough that their parameters outweigh padding and small exchanges, on batches of the tiny model's kind.
#pragma once
#include "tests/support/tiny_model.h"

namespace mvrm::test {

// `width` of the decoder, a multiple of 32; about 27 width^2 parameters with 2 layers and the default vocabulary.
inline model::ModelConfig sized_config(int64_t width, int64_t layers = 2, int64_t vocabulary = 2048) {
  model::ModelConfig config = tiny_config();
  config.vision.hidden_size = 32;
  config.vision.intermediate_size = 64;
  config.perceiver.resampler_head_dim = 32;
  config.text.vocab_size = vocabulary;
  config.text.hidden_size = width;
  config.text.intermediate_size = 2 * width;
  config.text.num_hidden_layers = layers;
  config.text.head_dim = width / 2;
  config.text.initializer_range = 0.02;
  return config;
}

}  // namespace mvrm::test
