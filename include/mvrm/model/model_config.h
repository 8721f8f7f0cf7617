// SPDX-License-Identifier: Apache-2.0
// config.json of an Idefics2 sequence classifier: every size of the model comes from here (spec/idefics2.md section 1).
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mvrm::model {

struct VisionConfig {
  int64_t hidden_size = 1152, intermediate_size = 4304, num_hidden_layers = 27, num_attention_heads = 16;
  int64_t num_channels = 3, image_size = 980, patch_size = 14;
  double layer_norm_eps = 1e-6;
};
struct PerceiverConfig {
  int64_t resampler_n_latents = 64, resampler_depth = 3, resampler_n_heads = 16, resampler_head_dim = 96, num_key_value_heads = 4;
  double rms_norm_eps = 1e-5;   // key missing: text_config.rms_norm_eps, as the reference does
};
struct TextConfig {
  int64_t vocab_size = 32003, hidden_size = 4096, intermediate_size = 14336, num_hidden_layers = 32;
  int64_t num_attention_heads = 32, num_key_value_heads = 8, head_dim = 128, max_position_embeddings = 32768;
  double rms_norm_eps = 1e-5, rope_theta = 10000.0, initializer_range = 0.02;
  std::optional<int64_t> sliding_window = 4096;   // how many keys that shows depends on Compatibility: visible_keys()
  int64_t pad_token_id = 0;     // its embedding row gets no gradient; -1: none. Pooling uses ModelConfig::pad_token_id
};
// How library versions differ (spec/idefics2.md section 0); `reference` = what produced the published numbers.
// Also the optional key "mvrm_compatibility" of config.json.
enum class Compatibility { reference, hf523, hf457 };

struct ModelConfig {
  VisionConfig vision;
  PerceiverConfig perceiver;
  TextConfig text;
  int64_t num_labels = 5;                     // len(id2label)
  std::vector<std::string> dimensions;        // id2label in order; VideoFeedback's names when they are LABEL_k and K = 5
  int64_t image_token_id = 32001;
  std::optional<int64_t> pad_token_id;        // null: pool the last real position of a row (the reference takes one unpadded row)
  bool has_score_head = true;                 // false: a generation checkpoint, the head is drawn anew
  Compatibility compatibility = Compatibility::reference;
};

// Throws Error (model) naming file, key and cause for missing, null, cyclic, negative or inconsistent values.
ModelConfig load_model_config(const std::filesystem::path& model_dir);
// config.json text that Hugging Face and load_model_config read back to the same ModelConfig.
std::string to_json(const ModelConfig& config);

// Keys a query sees at most, itself included, under the sliding window W: W + 1 in `reference` mode, W in the others; nullopt = all.
std::optional<int64_t> visible_keys(const ModelConfig& config);

}  // namespace mvrm::model
