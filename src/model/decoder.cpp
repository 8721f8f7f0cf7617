// SPDX-License-Identifier: Apache-2.0
// Merge of image features into the token embeddings, and the Mistral decoder (spec/idefics2.md 3.6 and 3.7).
// B rows, L positions, D width, Q latents an image, R images, H query heads, G key/value heads, E head_dim.
#include <ATen/ATen.h>

#include "attention.h"
#include "layers.h"
#include "norms.h"

namespace mvrm::model {
namespace {

enum MergeIndex { kResamplerNorm, kTokenEmbedding };
enum LayerIndex { kQuery, kKey, kValue, kOut, kGate, kUp, kDown, kInputNorm, kPostNorm };

}  // namespace

std::vector<ParameterSpec> merge_parameters(const ModelConfig& config) {
  return {{"model.connector.perceiver_resampler.norm.weight", {config.text.hidden_size}},
          {"model.text_model.embed_tokens.weight", {config.text.vocab_size, config.text.hidden_size}}};
}

std::vector<ParameterSpec> text_layer_parameters(const ModelConfig& config, int64_t layer) {
  const TextConfig& c = config.text;
  const int64_t query = c.num_attention_heads * c.head_dim, key = c.num_key_value_heads * c.head_dim;
  const std::string prefix = "model.text_model.layers." + std::to_string(layer) + ".";
  return {{prefix + "self_attn.q_proj.weight", {query, c.hidden_size}},
          {prefix + "self_attn.k_proj.weight", {key, c.hidden_size}},
          {prefix + "self_attn.v_proj.weight", {key, c.hidden_size}},
          {prefix + "self_attn.o_proj.weight", {c.hidden_size, query}},
          {prefix + "mlp.gate_proj.weight", {c.intermediate_size, c.hidden_size}},
          {prefix + "mlp.up_proj.weight", {c.intermediate_size, c.hidden_size}},
          {prefix + "mlp.down_proj.weight", {c.hidden_size, c.intermediate_size}},
          {prefix + "input_layernorm.weight", {c.hidden_size}},
          {prefix + "post_attention_layernorm.weight", {c.hidden_size}}};
}

core::Tensor merge(const ModelConfig& config, Parameters p, const core::Tensor& latents_RQD, const PreparedBatch& batch) {
  const at::Tensor embedding_BLD = at::embedding(p[kTokenEmbedding], batch.input_ids_BL, config.text.pad_token_id);
  if (!latents_RQD.defined()) return embedding_BLD;
  const int64_t width = config.text.hidden_size;
  const at::Tensor image_ID = rms_norm(latents_RQD, p[kResamplerNorm], config.perceiver.rms_norm_eps).reshape({-1, width});
  return embedding_BLD.view({-1, width}).index_copy(0, batch.image_rows_I, image_ID).view_as(embedding_BLD);
}

core::Tensor text_attention(const ModelConfig& config, Parameters p, const core::Tensor& hidden_BLD, const PreparedBatch& batch) {
  const TextConfig& c = config.text;
  const int64_t rows = hidden_BLD.size(0), length = hidden_BLD.size(1), heads = c.num_attention_heads, groups = c.num_key_value_heads;
  const at::Tensor x_BLD = rms_norm(hidden_BLD, p[kInputNorm], c.rms_norm_eps);
  // Queries and keys turn by the same tables, so they are turned together; rolling by half a head is rot() with its sign in the table.
  const at::Tensor plain_BLHE =
      at::cat({at::linear(x_BLD, p[kQuery]), at::linear(x_BLD, p[kKey])}, 2).view({rows, length, heads + groups, c.head_dim});
  const at::Tensor cos_L1E = batch.cos_LD.unsqueeze(1), sin_L1E = batch.sin_LD.unsqueeze(1);
  const at::Tensor turned_BHLE = (plain_BLHE * cos_L1E + at::roll(plain_BLHE, c.head_dim / 2, 3) * sin_L1E).transpose(1, 2);
  const AttentionInput input{
      .query_BHLE = turned_BHLE.narrow(1, 0, heads),
      .key_BGTE = turned_BHLE.narrow(1, heads, groups),
      .value_BGTE = at::linear(x_BLD, p[kValue]).view({rows, length, groups, c.head_dim}).transpose(1, 2),
      .bias = batch.text_bias_B1LL,
      .causal = !batch.text_bias_B1LL.defined(),
  };
  const at::Tensor mixed_BLX = batch.packed_length_B.empty() ? attention(input) : packed_attention(input, batch.packed_length_B);
  return hidden_BLD + at::linear(mixed_BLX, p[kOut]);
}

core::Tensor text_mlp(const ModelConfig& config, Parameters p, const core::Tensor& skip_BLD) {
  const at::Tensor y_BLD = rms_norm(skip_BLD, p[kPostNorm], config.text.rms_norm_eps);
  return skip_BLD + at::linear(at::silu(at::linear(y_BLD, p[kGate])) * at::linear(y_BLD, p[kUp]), p[kDown]);
}

core::Tensor text_layer(const ModelConfig& config, Parameters p, const core::Tensor& hidden_BLD, const PreparedBatch& batch) {
  return text_mlp(config, p, text_attention(config, p, hidden_BLD, batch));
}

}  // namespace mvrm::model
