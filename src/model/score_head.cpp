// SPDX-License-Identifier: Apache-2.0
// Final norm and linear head at the pooled position (spec/idefics2.md 3.8). B rows, L positions, D width, K evaluation dimensions.
#include <ATen/ATen.h>

#include "layers.h"
#include "norms.h"

namespace mvrm::model {
namespace {

enum HeadIndex { kNorm, kScoreWeight, kScoreBias };

}  // namespace

std::vector<ParameterSpec> head_parameters(const ModelConfig& config) {
  return {{"model.text_model.norm.weight", {config.text.hidden_size}},
          {"score.weight", {config.num_labels, config.text.hidden_size}},
          {"score.bias", {config.num_labels}}};
}

core::Tensor pooled(const core::Tensor& hidden_BLD, const PreparedBatch& batch) {
  return hidden_BLD.flatten(0, 1).index_select(0, batch.begin_B + batch.pool_index_B);
}

Activation head(const ModelConfig& config, Parameters p, const core::Tensor& hidden_BLD, const PreparedBatch& batch) {
  // The norm works position by position, so gathering first gives the same feature for a fraction of the work.
  const at::Tensor feature_BD = rms_norm(pooled(hidden_BLD, batch), p[kNorm], config.text.rms_norm_eps);
  return {.hidden = at::linear(feature_BD, p[kScoreWeight], p[kScoreBias]), .context = feature_BD};
}

}  // namespace mvrm::model
