// SPDX-License-Identifier: Apache-2.0
// The five reference cases as batches, and one pass through the units that keeps every intermediate under its reference name.
#pragma once
#include <ATen/ATen.h>
#include <algorithm>
#include <cstdio>
#include <map>
#include <mvrm/core/safetensors.h>
#include <mvrm/model/reward_model.h>
#include <string>

#include "src/model/norms.h"
#include "tests/support/golden.h"

namespace mvrm::model {

inline const char* const kCases[] = {"c1_single", "c2_batch", "c3_leftpad", "c4_sliding6", "c5_video"};

using Named = std::map<std::string, at::Tensor>;

inline Named read_named(const std::string& file_name) {
  const auto file = core::SafetensorsFile::open(test::golden_file(file_name));
  Named named;
  for (const core::TensorInfo& info : file.tensors()) named[info.name] = file.tensor(info.name);
  return named;
}

// Reads `<case>.in.*`; pixels are stored as they are or as a byte and a table of levels (scripts/subset_golden.py).
inline data::Batch golden_batch(const Named& f32, const std::string& name) {
  const auto in = [&](const std::string& key) { return f32.at(name + ".in." + key); };
  const at::Tensor mask_BNHW = in("pixel_attention_mask") != 0;
  const at::Tensor pixels_BNCHW = f32.contains(name + ".in.pixel_values")
                                      ? in("pixel_values")
                                      : in("pixel_level").index({in("pixel_code").to(at::kLong)}) * mask_BNHW.unsqueeze(2);
  const at::Tensor real_N = (pixels_BNCHW != 0).flatten(2).any(2).flatten();
  data::Batch batch;
  for (int64_t b = 0; b < in("input_ids").size(0); ++b) batch.ids.push_back(name + "/" + std::to_string(b));
  batch.input_ids_BL = in("input_ids").clone();
  batch.attention_mask_BL = in("attention_mask").clone();
  batch.pixels_RCHW = pixels_BNCHW.flatten(0, 1).index({real_N});
  batch.pixel_mask_RHW = mask_BNHW.flatten(0, 1).index({real_N});
  batch.label_BK = in("labels").clone();
  return batch;
}

// c4_sliding6 shows six keys: W = 6 by the newer convention, 5 by the reference's own (visible_keys).
inline RewardModel golden_model(at::ScalarType dtype, const std::string& case_name,
                                Compatibility compatibility = Compatibility::reference) {
  RewardModel model = load_reward_model(test::golden_file("tiny"), dtype);
  model.config.compatibility = compatibility;
  if (case_name == "c4_sliding6") model.config.text.sliding_window = compatibility == Compatibility::reference ? 5 : 6;
  return model;
}

// Keys as in the reference data. Differentiable: parameters that require gradients get a graph.
inline Named trace(const RewardModel& model, const data::Batch& batch) {
  const PreparedBatch prepared = prepare(model.config, batch, model.dtype);
  Named out = {{"patch_attention_mask", prepared.patch_mask_RS}, {"vision_position_ids", prepared.vision_position_ids_RS},
               {"pool_index", prepared.pool_index_B}};
  Activation a;
  for (size_t u = 0; u < model.units.size(); ++u) {
    const Unit& unit = model.units[u];
    const auto& p = model.parameters[u];
    const std::string layer = std::to_string(unit.layer);
    if (unit.kind == UnitKind::projection)
      out["vision_last_hidden"] = at::layer_norm(a.hidden, {a.hidden.size(2)}, p[0], p[1], model.config.vision.layer_norm_eps);
    if (unit.kind == UnitKind::merge) out["connector_out"] = rms_norm(a.hidden, p[0], model.config.perceiver.rms_norm_eps);
    if (unit.kind == UnitKind::head) out["final_hidden"] = rms_norm(a.hidden, p[0], model.config.text.rms_norm_eps);
    a = run_unit(model.config, unit, p, a, prepared);
    switch (unit.kind) {
      case UnitKind::vision_embeddings: out["vision_embeddings"] = a.hidden; break;
      case UnitKind::vision_layer: out["vision_layer_" + layer] = a.hidden; break;
      case UnitKind::projection: out["modality_projection"] = a.context; break;
      case UnitKind::perceiver_layer: out["perceiver_layer_" + layer] = a.hidden; break;
      case UnitKind::merge: out["merged_embeddings"] = a.hidden; break;
      case UnitKind::text_layer: out["decoder_layer_" + layer] = a.hidden; break;
      case UnitKind::head: out["scores"] = a.hidden; out["pooled"] = a.context; break;
    }
  }
  out["loss"] = at::mse_loss(out["scores"], batch.label_BK.to(model.dtype));
  return out;
}

// Worst |got - want| over the largest |want| (at least 1 when `absolute`).
inline double worst_error(const at::Tensor& got, const at::Tensor& want, bool absolute) {
  const at::Tensor wide = want.to(at::kDouble);
  const double largest = wide.abs().max().item<double>();
  const double error = (got.detach().to(at::kDouble).reshape(wide.sizes()) - wide).abs().max().item<double>();
  return error / (absolute ? std::max(1.0, largest) : std::max(1e-30, largest));
}

}  // namespace mvrm::model
