// SPDX-License-Identifier: Apache-2.0
// The layers behind run_unit: every unit kind's parameter list and function, side by side, so that their orders can't drift apart.
#pragma once
#include <mvrm/model/unit.h>
#include <span>
#include <string>
#include <vector>

namespace mvrm::model {

using Parameters = std::span<const core::Tensor>;

std::vector<ParameterSpec> vision_embeddings_parameters(const ModelConfig& config);
std::vector<ParameterSpec> vision_layer_parameters(const ModelConfig& config, int64_t layer);
core::Tensor vision_embeddings(const ModelConfig& config, Parameters p, const PreparedBatch& batch);
core::Tensor vision_layer(const ModelConfig& config, Parameters p, const core::Tensor& hidden_RSV, const PreparedBatch& batch);

std::vector<ParameterSpec> projection_parameters(const ModelConfig& config);
std::vector<ParameterSpec> perceiver_layer_parameters(const ModelConfig& config, int64_t layer);
core::Tensor projection(const ModelConfig& config, Parameters p, const core::Tensor& hidden_RSV);
core::Tensor perceiver_layer(const ModelConfig& config, const Unit& unit, Parameters p, const Activation& input,
                             const PreparedBatch& batch);

std::vector<ParameterSpec> merge_parameters(const ModelConfig& config);
std::vector<ParameterSpec> text_layer_parameters(const ModelConfig& config, int64_t layer);
core::Tensor merge(const ModelConfig& config, Parameters p, const core::Tensor& latents_RQD, const PreparedBatch& batch);
core::Tensor text_layer(const ModelConfig& config, Parameters p, const core::Tensor& hidden_BLD, const PreparedBatch& batch);
// The two halves of text_layer: attention with its skip connection, then the MLP with its own.
core::Tensor text_attention(const ModelConfig& config, Parameters p, const core::Tensor& hidden_BLD, const PreparedBatch& batch);
core::Tensor text_mlp(const ModelConfig& config, Parameters p, const core::Tensor& skip_BLD);

std::vector<ParameterSpec> head_parameters(const ModelConfig& config);
Activation head(const ModelConfig& config, Parameters p, const core::Tensor& hidden_BLD, const PreparedBatch& batch);
// The hidden state of each sample at its pooled position, [B,D].
core::Tensor pooled(const core::Tensor& hidden_BLD, const PreparedBatch& batch);

}  // namespace mvrm::model
