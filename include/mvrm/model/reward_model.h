// SPDX-License-Identifier: Apache-2.0
// A loaded reward model for inference: parameters by unit and one forward pass. Training drives the units itself (train/engine.h).
#pragma once
#include <filesystem>
#include <mvrm/core/context.h>
#include <mvrm/core/safetensors.h>
#include <mvrm/model/unit.h>
#include <string>
#include <vector>

namespace mvrm::model {

struct RewardOutput {
  core::Tensor reward_BK;      // float32 (float64 for a float64 model): head applied in that dtype to the feature
  core::Tensor feature_BD;     // input of the score head, model dtype
  core::Tensor prefix_reward_BFK;  // head at ForwardOptions::prefix_position_BF, NaN where that is -1; undefined unless asked for
  core::Tensor skip_BD;            // the last text layer between attention and MLP at the pooled position; undefined unless asked for
};
// What forward gives on top; none of it changes reward or feature.
struct ForwardOptions {
  core::Tensor prefix_position_BF;   // int64 positions, -1 = none; undefined: no prefix rewards
  bool keep_skip = false;
};

struct RewardModel {
  ModelConfig config;
  std::vector<Unit> units;
  std::vector<std::vector<core::Tensor>> parameters;   // by unit, in the order of Unit::parameters
  at::ScalarType dtype = at::kFloat;
};

// Reads config.json and model.safetensors or its shards (F32, F16, BF16, F64) on several threads straight into `dtype` on `device`, without
// a second copy of the model. Missing, unexpected and misshaped tensors are listed all in one Error (model). A generation checkpoint loads
// too: lm_head ignored, score drawn N(0, initializer_range) from `head_seed`, bias 0.
RewardModel load_reward_model(const std::filesystem::path& model_dir, at::ScalarType dtype, uint64_t head_seed = 42,
                              at::Device device = at::kCPU);
// A model with random weights (same initialiser as Hugging Face's: normal(0, initializer_range), norms 1, biases 0).
RewardModel random_reward_model(const ModelConfig& config, at::ScalarType dtype, uint64_t seed);
at::Device device_of(const RewardModel& model);
void move_to(RewardModel& model, at::Device device);   // tensor by tensor
inline constexpr uint64_t kMaxShardBytes = 5'000'000'000;   // Hugging Face's default
// Writes config.json and model.safetensors, or shards of at most `max_shard_bytes` with their index, and copies tokenizer and processor
// files from `processor_dir` (may be empty). Weight files of another layout are removed at the end. Atomic per file.
void save_reward_model(const std::filesystem::path& model_dir, const RewardModel& model, const std::filesystem::path& processor_dir,
                       uint64_t max_shard_bytes = kMaxShardBytes);
// SHA-256 over config.json and the weight files: identifies the model in profiles and caches.
std::string model_hash(const std::filesystem::path& model_dir);

// No gradients. Thread-safe: the model is only read.
RewardOutput forward(const RewardModel& model, const data::Batch& batch, const ForwardOptions& options = {});
// The same on a batch that prepare() and to_device() put where the model is.
RewardOutput forward(const RewardModel& model, const PreparedBatch& batch, const ForwardOptions& options = {});

}  // namespace mvrm::model
