// SPDX-License-Identifier: Apache-2.0
// SigLIP trunk without class token and pooling (spec/idefics2.md 3.3 and 3.4).
// R images, S patches of each, V vision width, E head_dim, C channels, H W pixels, P patch side.
#include <ATen/ATen.h>

#include "attention.h"
#include "layers.h"

namespace mvrm::model {
namespace {

enum EmbeddingIndex { kPatchWeight, kPatchBias, kPositionWeight };
enum LayerIndex {
  kQueryWeight, kQueryBias, kKeyWeight, kKeyBias, kValueWeight, kValueBias, kOutWeight, kOutBias,
  kNorm1Weight, kNorm1Bias, kFc1Weight, kFc1Bias, kFc2Weight, kFc2Bias, kNorm2Weight, kNorm2Bias,
};

// Non-overlapping windows as rows; equal to a convolution with stride = kernel, remainders at the right and bottom edge cut.
at::Tensor patch_rows(const at::Tensor& pixels_RCHW, int64_t patch) {
  const int64_t images = pixels_RCHW.size(0), channels = pixels_RCHW.size(1);
  const int64_t rows = pixels_RCHW.size(2) / patch, columns = pixels_RCHW.size(3) / patch;
  return pixels_RCHW.narrow(2, 0, rows * patch).narrow(3, 0, columns * patch)
      .reshape({images, channels, rows, patch, columns, patch})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({images, rows * columns, channels * patch * patch});
}

at::Tensor split_heads(const at::Tensor& x_RSV, int64_t heads) {
  return x_RSV.view({x_RSV.size(0), x_RSV.size(1), heads, -1}).transpose(1, 2);
}

}  // namespace

std::vector<ParameterSpec> vision_embeddings_parameters(const ModelConfig& config) {
  const VisionConfig& c = config.vision;
  const std::string prefix = "model.vision_model.embeddings.";
  const int64_t side = c.image_size / c.patch_size;
  return {{prefix + "patch_embedding.weight", {c.hidden_size, c.num_channels, c.patch_size, c.patch_size}},
          {prefix + "patch_embedding.bias", {c.hidden_size}},
          {prefix + "position_embedding.weight", {side * side, c.hidden_size}}};
}

std::vector<ParameterSpec> vision_layer_parameters(const ModelConfig& config, int64_t layer) {
  const int64_t width = config.vision.hidden_size, inner = config.vision.intermediate_size;
  const std::string prefix = "model.vision_model.encoder.layers." + std::to_string(layer) + ".";
  std::vector<ParameterSpec> specs;
  for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
    specs.push_back({prefix + "self_attn." + name + ".weight", {width, width}});
    specs.push_back({prefix + "self_attn." + name + ".bias", {width}});
  }
  specs.push_back({prefix + "layer_norm1.weight", {width}});
  specs.push_back({prefix + "layer_norm1.bias", {width}});
  specs.push_back({prefix + "mlp.fc1.weight", {inner, width}});
  specs.push_back({prefix + "mlp.fc1.bias", {inner}});
  specs.push_back({prefix + "mlp.fc2.weight", {width, inner}});
  specs.push_back({prefix + "mlp.fc2.bias", {width}});
  specs.push_back({prefix + "layer_norm2.weight", {width}});
  specs.push_back({prefix + "layer_norm2.bias", {width}});
  return specs;
}

core::Tensor vision_embeddings(const ModelConfig& config, Parameters p, const PreparedBatch& batch) {
  const at::Tensor patch_RSX = patch_rows(batch.pixels_RCHW, config.vision.patch_size);
  return at::linear(patch_RSX, p[kPatchWeight].flatten(1), p[kPatchBias]) +
         at::embedding(p[kPositionWeight], batch.vision_position_ids_RS);
}

core::Tensor vision_layer(const ModelConfig& config, Parameters p, const core::Tensor& hidden_RSV, const PreparedBatch& batch) {
  const VisionConfig& c = config.vision;
  const at::Tensor x_RSV = at::layer_norm(hidden_RSV, {c.hidden_size}, p[kNorm1Weight], p[kNorm1Bias], c.layer_norm_eps);
  const at::Tensor mixed_RSV = attention({
      .query_BHLE = split_heads(at::linear(x_RSV, p[kQueryWeight], p[kQueryBias]), c.num_attention_heads),
      .key_BGTE = split_heads(at::linear(x_RSV, p[kKeyWeight], p[kKeyBias]), c.num_attention_heads),
      .value_BGTE = split_heads(at::linear(x_RSV, p[kValueWeight], p[kValueBias]), c.num_attention_heads),
      .bias = batch.vision_bias_R11S,
  });
  const at::Tensor skip_RSV = hidden_RSV + at::linear(mixed_RSV, p[kOutWeight], p[kOutBias]);
  const at::Tensor y_RSV = at::layer_norm(skip_RSV, {c.hidden_size}, p[kNorm2Weight], p[kNorm2Bias], c.layer_norm_eps);
  const at::Tensor inner_RSI = at::gelu(at::linear(y_RSV, p[kFc1Weight], p[kFc1Bias]), "tanh");
  return skip_RSV + at::linear(inner_RSI, p[kFc2Weight], p[kFc2Bias]);
}

}  // namespace mvrm::model
