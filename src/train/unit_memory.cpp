// SPDX-License-Identifier: Apache-2.0
// F frames and L tokens of a micro-batch, S patches of a frame, Q latents, V vision width, D text width.
#include "unit_memory.h"

#include <algorithm>
#include <c10/util/accumulate.h>

namespace mvrm::train {

namespace {

struct Sizes {
  double F, S, L, Q, V, D, w;
  double norm(double elements) const { return elements * (w < 4 ? w + 4 : w); }   // RMSNorm: normalised, and its input widened to float32
};

Sizes sizes_of(const model::ModelConfig& config, const ClipShape& clip, const Scheme& scheme) {
  const auto d = [](int64_t x) { return static_cast<double>(x); };
  return {.F = d(clip.frames * scheme.micro_batch), .S = d(patches_of(config, clip)), .L = d(clip.tokens * scheme.micro_batch),
          .Q = d(config.perceiver.resampler_n_latents), .V = d(config.vision.hidden_size), .D = d(config.text.hidden_size), .w = d(scheme.weight_bytes)};
}

UnitMemory vision_layer(const model::ModelConfig& config, const Sizes& n) {
  const double rows = n.F * n.S, inner = rows * static_cast<double>(config.vision.intermediate_size) * n.w, width = rows * n.V * n.w;
  const double sums = rows * static_cast<double>(config.vision.num_attention_heads) * 4;
  // x q k v mixed skip | y fc1 gelu
  return {.input = width, .saved = 7 * width + 2 * inner + sums, .early = 6 * width + sums, .backward = inner + 2 * width};
}

// gate silu up product of a gated MLP of `inner` bytes each, behind a norm.
UnitMemory with_mlp(UnitMemory attention, double norm, double width, double inner) {
  attention.early = attention.saved;
  attention.saved += norm + width + 4 * inner;
  attention.backward = 2 * inner + 2 * width;
  return attention;
}

UnitMemory perceiver_layer(const model::ModelConfig& config, const model::Unit& unit, const Sizes& n) {
  const auto& c = config.perceiver;
  const double latents = n.F * n.Q, keys = n.F * (n.S + n.Q), heads = static_cast<double>(c.resampler_n_heads);
  const double query = heads * static_cast<double>(c.resampler_head_dim), key = static_cast<double>(c.num_key_value_heads * c.resampler_head_dim);
  const double width = latents * n.D * n.w;
  UnitMemory attention{.input = unit.layer == 0 ? n.F * n.S * n.D * n.w : width};
  attention.saved = n.norm(latents * n.D) + width + n.norm(n.F * n.S * n.D) + keys * n.D * n.w + 2 * latents * query * n.w + 2 * keys * key * n.w +
                    latents * heads * 4 + width;
  return with_mlp(attention, n.norm(latents * n.D), width, 4 * width);
}

UnitMemory text_layer(const model::ModelConfig& config, const Sizes& n) {
  const auto& c = config.text;
  const double heads = static_cast<double>(c.num_attention_heads * c.head_dim), groups = static_cast<double>(c.num_key_value_heads * c.head_dim);
  const double width = n.L * n.D * n.w;
  UnitMemory attention{.input = width};
  attention.saved = n.norm(n.L * n.D) + width + n.L * (2 * heads + 2 * groups) * n.w + n.L * static_cast<double>(c.num_attention_heads) * 4 + width;
  return with_mlp(attention, n.norm(n.L * n.D), width, n.L * static_cast<double>(c.intermediate_size) * n.w);
}

UnitMemory activations_of(const model::ModelConfig& config, const model::Unit& unit, const Sizes& n) {
  const double patches = n.F * n.S * n.V * n.w;
  switch (unit.kind) {
    case model::UnitKind::vision_embeddings: {
      const auto& v = config.vision;
      const double rows = n.F * n.S * static_cast<double>(v.num_channels * v.patch_size * v.patch_size) * n.w;
      return {.saved = rows, .early = rows, .backward = 2 * patches};
    }
    case model::UnitKind::vision_layer: return vision_layer(config, n);
    case model::UnitKind::projection: return with_mlp({.input = patches}, 0, patches, n.F * n.S * static_cast<double>(config.text.intermediate_size) * n.w);
    case model::UnitKind::perceiver_layer: return perceiver_layer(config, unit, n);
    case model::UnitKind::merge: {
      const double latents = n.F * n.Q * n.D;
      return {.input = latents * n.w, .saved = n.norm(latents), .early = n.norm(latents), .backward = 2 * n.L * n.D * n.w};
    }
    case model::UnitKind::text_layer: return text_layer(config, n);
    case model::UnitKind::head: return {.input = n.L * n.D * n.w, .backward = n.L * n.D * n.w};
  }
  return {};
}

}  // namespace

double UnitMemory::peak() const { return std::max(saved + backward + mlp_gradients, early + backward / 2 + gradients) + widest; }

UnitMemory memory_of(const model::ModelConfig& config, const model::Unit& unit, const ClipShape& clip, const Scheme& scheme) {
  const Sizes n = sizes_of(config, clip, scheme);
  UnitMemory memory = activations_of(config, unit, n);
  for (const auto& parameter : unit.parameters) {
    const auto count = static_cast<double>(c10::multiply_integers(parameter.shape));
    memory.gradients += count * n.w;
    const bool last = parameter.name.ends_with("down_proj.weight") || parameter.name.ends_with("fc2.weight");
    if (last) memory.mlp_gradients += count * n.w;
    if (scheme.gradient_bytes != scheme.weight_bytes) memory.widest = std::max(memory.widest, count * static_cast<double>(scheme.gradient_bytes));
  }
  return memory;
}

double batch_bytes(const model::ModelConfig& config, const ClipShape& clip, const Scheme& scheme) {
  const Sizes n = sizes_of(config, clip, scheme);
  const double pixels = n.F * static_cast<double>(config.vision.num_channels * clip.height * clip.width);
  return pixels * (n.w < 4 ? 4 + n.w : 4) + n.F * n.S * 9 + n.L * 16;
}

}  // namespace mvrm::train
