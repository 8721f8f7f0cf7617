// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <mvrm/core/error.h>

#include "layers.h"

namespace mvrm::model {

std::vector<Unit> make_units(const ModelConfig& config) {
  std::vector<Unit> units;
  units.push_back({UnitKind::vision_embeddings, 0, vision_embeddings_parameters(config)});
  for (int64_t i = 0; i < config.vision.num_hidden_layers; ++i)
    units.push_back({UnitKind::vision_layer, i, vision_layer_parameters(config, i)});
  units.push_back({UnitKind::projection, 0, projection_parameters(config)});
  for (int64_t i = 0; i < config.perceiver.resampler_depth; ++i)
    units.push_back({UnitKind::perceiver_layer, i, perceiver_layer_parameters(config, i)});
  units.push_back({UnitKind::merge, 0, merge_parameters(config)});
  for (int64_t i = 0; i < config.text.num_hidden_layers; ++i)
    units.push_back({UnitKind::text_layer, i, text_layer_parameters(config, i)});
  units.push_back({UnitKind::head, 0, head_parameters(config)});
  return units;
}

Activation run_unit(const ModelConfig& config, const Unit& unit, std::span<const core::Tensor> parameters, const Activation& input,
                    const PreparedBatch& batch) {
  MVRM_CHECK(parameters.size() == unit.parameters.size(), "unit takes ", unit.parameters.size(), " parameters, got ", parameters.size());
  const bool vision_only = unit.kind < UnitKind::merge;
  if (vision_only && !batch.pixels_RCHW.defined()) return {};
  switch (unit.kind) {
    case UnitKind::vision_embeddings: return {.hidden = vision_embeddings(config, parameters, batch)};
    case UnitKind::vision_layer: return {.hidden = vision_layer(config, parameters, input.hidden, batch)};
    case UnitKind::projection: return {.context = projection(config, parameters, input.hidden)};
    case UnitKind::perceiver_layer:
      return {.hidden = perceiver_layer(config, unit, parameters, input, batch),
              .context = unit.layer + 1 < config.perceiver.resampler_depth ? input.context : core::Tensor()};
    case UnitKind::merge: return {.hidden = merge(config, parameters, input.hidden, batch)};
    case UnitKind::text_layer: return {.hidden = text_layer(config, parameters, input.hidden, batch)};
    case UnitKind::head: return head(config, parameters, input.hidden, batch);
  }
  MVRM_CHECK(false, "unknown unit kind ", static_cast<int>(unit.kind));
}

}  // namespace mvrm::model
