// SPDX-License-Identifier: Apache-2.0
// Modality projection and perceiver resampler (spec/idefics2.md 3.5).
// R images, S patches, Q latents, T = S + Q keys, V vision width, D text width.
#include <ATen/ATen.h>

#include "attention.h"
#include "layers.h"
#include "norms.h"

namespace mvrm::model {
namespace {

enum ProjectionIndex { kPostNormWeight, kPostNormBias, kProjectionGate, kProjectionUp, kProjectionDown };
// Behind the latents in layer 0.
enum LayerIndex { kLatentsNorm, kContextNorm, kQuery, kKey, kValue, kOut, kPostNorm, kGate, kUp, kDown };

at::Tensor split_heads(const at::Tensor& x, int64_t heads) { return x.view({x.size(0), x.size(1), heads, -1}).transpose(1, 2); }

at::Tensor gated_mlp(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& up, const at::Tensor& down) {
  return at::linear(at::silu(at::linear(x, gate)) * at::linear(x, up), down);
}

}  // namespace

std::vector<ParameterSpec> projection_parameters(const ModelConfig& config) {
  const int64_t vision = config.vision.hidden_size, inner = config.text.intermediate_size, width = config.text.hidden_size;
  const std::string prefix = "model.connector.modality_projection.";
  return {{"model.vision_model.post_layernorm.weight", {vision}}, {"model.vision_model.post_layernorm.bias", {vision}},
          {prefix + "gate_proj.weight", {inner, vision}},         {prefix + "up_proj.weight", {inner, vision}},
          {prefix + "down_proj.weight", {width, inner}}};
}

std::vector<ParameterSpec> perceiver_layer_parameters(const ModelConfig& config, int64_t layer) {
  const PerceiverConfig& c = config.perceiver;
  const int64_t width = config.text.hidden_size, inner = 4 * width;
  const int64_t query = c.resampler_n_heads * c.resampler_head_dim, key = c.num_key_value_heads * c.resampler_head_dim;
  const std::string resampler = "model.connector.perceiver_resampler.", prefix = resampler + "layers." + std::to_string(layer) + ".";
  std::vector<ParameterSpec> specs;
  if (layer == 0) specs.push_back({resampler + "latents", {c.resampler_n_latents, width}});
  const std::vector<ParameterSpec> own = {
      {prefix + "input_latents_norm.weight", {width}},         {prefix + "input_context_norm.weight", {width}},
      {prefix + "self_attn.q_proj.weight", {query, width}},    {prefix + "self_attn.k_proj.weight", {key, width}},
      {prefix + "self_attn.v_proj.weight", {key, width}},      {prefix + "self_attn.o_proj.weight", {width, query}},
      {prefix + "post_attention_layernorm.weight", {width}},   {prefix + "mlp.gate_proj.weight", {inner, width}},
      {prefix + "mlp.up_proj.weight", {inner, width}},         {prefix + "mlp.down_proj.weight", {width, inner}}};
  specs.insert(specs.end(), own.begin(), own.end());
  return specs;
}

core::Tensor projection(const ModelConfig& config, Parameters p, const core::Tensor& hidden_RSV) {
  const at::Tensor x_RSV = at::layer_norm(hidden_RSV, {config.vision.hidden_size}, p[kPostNormWeight], p[kPostNormBias],
                                          config.vision.layer_norm_eps);
  return gated_mlp(x_RSV, p[kProjectionGate], p[kProjectionUp], p[kProjectionDown]);
}

core::Tensor perceiver_layer(const ModelConfig& config, const Unit& unit, Parameters p, const Activation& input,
                             const PreparedBatch& batch) {
  const PerceiverConfig& c = config.perceiver;
  at::Tensor latents_RQD = input.hidden;
  if (unit.layer == 0) {
    latents_RQD = p[0].unsqueeze(0).expand({input.context.size(0), -1, -1});
    p = p.subspan(1);
  }
  // Every layer renormalises the original projection with its own weight; the normalised latents are keys too, after the context.
  const at::Tensor x_RQD = rms_norm(latents_RQD, p[kLatentsNorm], c.rms_norm_eps);
  const at::Tensor key_RTD = at::cat({rms_norm(input.context, p[kContextNorm], c.rms_norm_eps), x_RQD}, 1);
  const at::Tensor mixed_RQX = attention({
      .query_BHLE = split_heads(at::linear(x_RQD, p[kQuery]), c.resampler_n_heads),
      .key_BGTE = split_heads(at::linear(key_RTD, p[kKey]), c.num_key_value_heads),
      .value_BGTE = split_heads(at::linear(key_RTD, p[kValue]), c.num_key_value_heads),
      .bias = batch.perceiver_bias_R11T,
  });
  const at::Tensor skip_RQD = latents_RQD + at::linear(mixed_RQX, p[kOut]);
  const at::Tensor y_RQD = rms_norm(skip_RQD, p[kPostNorm], c.rms_norm_eps);
  return skip_RQD + gated_mlp(y_RQD, p[kGate], p[kUp], p[kDown]);
}

}  // namespace mvrm::model
