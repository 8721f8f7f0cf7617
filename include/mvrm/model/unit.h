// SPDX-License-Identifier: Apache-2.0
// The model as a list of units: pure functions of a parameter view and an activation (spec/training.md section 3.1).
// Checkpointing, sharding and prefetch are the training engine's business; nothing here knows of grad mode, devices or logging.
#pragma once
#include <mvrm/core/tensor.h>
#include <mvrm/data/batch.h>
#include <mvrm/model/model_config.h>
#include <span>
#include <string>
#include <vector>

namespace mvrm::model {

enum class UnitKind { vision_embeddings, vision_layer, projection, perceiver_layer, merge, text_layer, head };

struct ParameterSpec {
  std::string name;                 // Hugging Face key, e.g. model.text_model.layers.3.mlp.up_proj.weight
  std::vector<int64_t> shape;
};
struct Unit {
  UnitKind kind;
  int64_t layer = 0;                // index among units of its kind
  std::vector<ParameterSpec> parameters;
};
// In forward order; their parameters are exactly the checkpoint's tensors (764 for VideoScore-8B).
// projection holds post_layernorm + modality_projection; perceiver_layer 0 also the latents; merge the resampler norm + embed_tokens;
// head the final norm + score.
std::vector<Unit> make_units(const ModelConfig& config);

// What flows between units. vision_*: hidden = patches [R,S,Dv]. projection: context = [R,S,D]. perceiver_layer: hidden = latents [R,Q,D],
// context passed on, except by the last one, so that no unit gets an input it ignores. merge, text_layer: hidden = [B,L,D], or [1,T,D]
// when packed (PreparedBatch).
// head: hidden = reward [B,K], context = feature h [B,D]. A batch without images skips from nothing to merge with undefined tensors; then
// the parameters before embed_tokens take part in nothing and have no gradient.
struct Activation {
  core::Tensor hidden, context;
};

// What every unit needs of a batch, computed once per micro-batch without gradients.
struct PreparedBatch {
  core::Tensor input_ids_BL;            // packed: [1,T]
  // Samples of different lengths are packed: they lie one behind the other in one row of T tokens, without padding, and attention stays
  // within each (variable length, spec/training.md 1.1). These are their lengths then; empty: a row each.
  std::vector<int64_t> packed_length_B;
  core::Tensor begin_B;                 // int64, row of the flattened ids at which sample b begins
  core::Tensor pixels_RCHW;             // model dtype; undefined without images
  core::Tensor patch_mask_RS;           // bool
  core::Tensor vision_position_ids_RS;  // int64
  core::Tensor vision_bias_R11S;        // additive key mask; undefined when every patch is valid
  core::Tensor perceiver_bias_R11T;     // T = S + latents; undefined when every patch is valid
  // Causal + padding + sliding window. Undefined where causal alone says the same: no row is padded (on the right: it is packed then),
  // none is pooled in its padding, and the window, if any, spans the batch. With it nothing is packed.
  core::Tensor text_bias_B1LL;
  // Rotary tables (packed: of T positions), head_dim wide, model dtype; the first half of sin carries rot's minus sign.
  core::Tensor cos_LD, sin_LD;
  core::Tensor pool_index_B;            // int64, position behind begin_B
  core::Tensor image_rows_I;            // int64, rows of the flattened ids that hold image tokens; undefined without images
};
// Throws DataError when image tokens and images don't match, or a token id lies outside of the vocabulary. Results lie where the batch does.
PreparedBatch prepare(const ModelConfig& config, const data::Batch& batch, at::ScalarType dtype);
// The same on `device`; a batch that is there already is not copied. To a GPU through pinned memory, so that nobody waits for the copy:
// preparing on the CPU and copying last keeps the checks above from stopping the device.
PreparedBatch to_device(PreparedBatch batch, at::Device device);
core::Tensor to_device(const core::Tensor& tensor, at::Device device);

// `parameters` in the order of unit.parameters. Differentiable in parameters and input.
Activation run_unit(const ModelConfig& config, const Unit& unit, std::span<const core::Tensor> parameters, const Activation& input,
                    const PreparedBatch& batch);

}  // namespace mvrm::model
