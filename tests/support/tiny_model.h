// SPDX-License-Identifier: Apache-2.0
// A complete reward model of about six thousand parameters and random batches for it. Initialised wide, so every operation matters.
#pragma once
#include <ATen/ATen.h>
#include <mvrm/core/random.h>
#include <mvrm/model/reward_model.h>
#include <string>

namespace mvrm::test {

inline constexpr int64_t kTinyImageToken = 21;

inline model::ModelConfig tiny_config(int64_t num_labels = 5) {
  model::ModelConfig config;
  config.vision = {.hidden_size = 12, .intermediate_size = 20, .num_hidden_layers = 1, .num_attention_heads = 2, .num_channels = 3,
                   .image_size = 16, .patch_size = 4, .layer_norm_eps = 1e-6};
  config.perceiver = {.resampler_n_latents = 2, .resampler_depth = 1, .resampler_n_heads = 2, .resampler_head_dim = 4,
                      .num_key_value_heads = 1, .rms_norm_eps = 1e-5};
  config.text.vocab_size = 24;
  config.text.hidden_size = 16;
  config.text.intermediate_size = 24;
  config.text.num_hidden_layers = 2;
  config.text.num_attention_heads = 2;
  config.text.num_key_value_heads = 1;
  config.text.head_dim = 8;
  config.text.max_position_embeddings = 128;
  config.text.initializer_range = 0.3;
  config.num_labels = num_labels;
  config.dimensions.clear();
  for (int64_t k = 0; k < num_labels; ++k) config.dimensions.push_back(std::string("dimension ").append(std::to_string(k)));
  config.image_token_id = kTinyImageToken;
  config.pad_token_id = 0;
  return config;
}

inline model::RewardModel tiny_model(at::ScalarType dtype = at::kFloat, uint64_t seed = 42, int64_t num_labels = 5) {
  return model::random_reward_model(tiny_config(num_labels), dtype, seed);
}

// `size` samples "s<first>", "s<first+1>", ...: one image of 8 x 12 (6 patches) as two image tokens, 3 to 8 text tokens, right-padded,
// labels in 1..4. A sample is a function of (config, seed, its number) alone, except for the length it is padded to.
inline data::Batch tiny_batch(const model::ModelConfig& config, int64_t size, uint64_t seed = 1, int64_t first = 0) {
  const int64_t latents = config.perceiver.resampler_n_latents, longest = 1 + latents + 8;
  data::Batch batch;
  batch.input_ids_BL = at::zeros({size, longest}, at::kLong);
  batch.attention_mask_BL = at::zeros({size, longest}, at::kLong);
  batch.pixels_RCHW = at::zeros({size, 3, 8, 12}, at::kFloat);
  batch.label_BK = at::zeros({size, config.num_labels}, at::kFloat);
  for (int64_t b = 0; b < size; ++b) {
    core::CounterRng random(seed, static_cast<uint64_t>(first + b));
    batch.ids.push_back(std::string("s").append(std::to_string(first + b)));
    const int64_t length = 1 + latents + 3 + random.below(6);
    int64_t* ids = batch.input_ids_BL[b].data_ptr<int64_t>();
    ids[0] = 1;
    for (int64_t l = 1; l < length; ++l) ids[l] = l <= latents ? config.image_token_id : 2 + random.below(kTinyImageToken - 2);
    batch.attention_mask_BL[b].narrow(0, 0, length).fill_(1);
    float* pixel = batch.pixels_RCHW[b].data_ptr<float>();
    for (int64_t i = 0; i < 3 * 8 * 12; ++i) pixel[i] = (static_cast<float>(random.below(256)) - 127.5f) / 127.5f;
    for (int64_t k = 0; k < config.num_labels; ++k) batch.label_BK[b][k] = 1.0 + static_cast<double>(random.below(4));
  }
  const int64_t used = batch.attention_mask_BL.sum(1).max().item<int64_t>();
  batch.input_ids_BL = batch.input_ids_BL.narrow(1, 0, used).contiguous();
  batch.attention_mask_BL = batch.attention_mask_BL.narrow(1, 0, used).contiguous();
  return batch;
}

}  // namespace mvrm::test
