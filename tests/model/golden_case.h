// SPDX-License-Identifier: Apache-2.0
// The reference cases as batches, and one pass through the units that keeps every intermediate under its reference name.
// Which cases there are, and every size, comes from the set's own manifest.json and config.json.
#pragma once
#include <ATen/ATen.h>
#include <algorithm>
#include <map>
#include <mvrm/core/safetensors.h>
#include <mvrm/model/reward_model.h>
#include <string>
#include <vector>

#include "src/model/norms.h"
#include "tests/support/golden.h"

namespace mvrm::model {

using Named = std::map<std::string, at::Tensor>;

inline Named read_named(const std::string& file_name) {
  const auto file = core::SafetensorsFile::open(test::golden_file(file_name));
  Named named;
  for (const core::TensorInfo& info : file.tensors()) named[info.name] = file.tensor(info.name);
  return named;
}

// c1_single, c2_batch, …
inline std::vector<std::string> golden_cases() {
  const auto manifest = test::golden_json("manifest.json");
  std::vector<std::string> cases;
  for (const auto& [name, window] : manifest.at("case_sliding_window").items()) cases.push_back(name);
  return cases;
}

// Quantity to tensor, of the keys that start with `prefix`.
inline Named starting_with(const Named& all, const std::string& prefix) {
  Named found;
  for (const auto& [key, value] : all)
    if (key.starts_with(prefix)) found[key.substr(prefix.size())] = value;
  return found;
}

// Reads `<case>.in.*`; pixels are stored as they are or as a byte and a table of levels (scripts/subset_golden.py).
inline data::Batch golden_batch(const Named& f32, const std::string& name) {
  const auto in = [&](const std::string& key) { return f32.at(name + ".in." + key); };
  const at::Tensor mask_BNHW = in("pixel_attention_mask") != 0;
  const at::Tensor pixels_BNCHW = f32.contains(name + ".in.pixel_values")
                                      ? in("pixel_values")
                                      : in("pixel_level").index({in("pixel_code").to(at::kLong)}) * mask_BNHW.unsqueeze(2);
  data::Batch batch;
  for (int64_t b = 0; b < in("input_ids").size(0); ++b) batch.ids.push_back(name + "/" + std::to_string(b));
  batch.input_ids_BL = in("input_ids").clone();
  batch.attention_mask_BL = in("attention_mask").clone();
  data::set_padded_images(batch, pixels_BNCHW, mask_BNHW);
  batch.label_BK = in("labels").clone();
  return batch;
}

// The manifest's W is the number of keys that show, as newer libraries count; the reference shows one more than its W (visible_keys).
inline RewardModel golden_model(at::ScalarType dtype, const std::string& case_name,
                                Compatibility compatibility = Compatibility::reference, at::Device device = at::kCPU) {
  RewardModel model = load_reward_model(test::golden_file("tiny"), dtype, 42, device);
  model.config.compatibility = compatibility;
  const auto window = test::golden_json("manifest.json").at("case_sliding_window").at(case_name).get<int64_t>();
  model.config.text.sliding_window = compatibility == Compatibility::reference ? window - 1 : window;
  return model;
}

// Packed hidden states as padded rows again, with zeros where nothing is computed.
inline at::Tensor as_rows(const at::Tensor& hidden_1TD, const PreparedBatch& prepared, const at::Tensor& attention_mask_BL) {
  if (prepared.packed_length_B.empty()) return hidden_1TD;
  const at::Tensor real_BL = attention_mask_BL.to(hidden_1TD.device()) != 0;
  return at::zeros({real_BL.size(0), real_BL.size(1), hidden_1TD.size(2)}, hidden_1TD.options()).index_put({real_BL}, hidden_1TD[0]);
}

// Keys as in the reference data. Differentiable: parameters that require gradients get a graph.
inline Named trace(const RewardModel& model, const data::Batch& batch) {
  const PreparedBatch prepared = to_device(prepare(model.config, batch, model.dtype), device_of(model));
  Named out = {{"patch_attention_mask", prepared.patch_mask_RS}, {"vision_position_ids", prepared.vision_position_ids_RS},
               {"pool_index", prepared.pool_index_B}};
  const auto rows = [&](const at::Tensor& hidden) { return as_rows(hidden, prepared, batch.attention_mask_BL); };
  Activation a;
  for (size_t u = 0; u < model.units.size(); ++u) {
    const Unit& unit = model.units[u];
    const auto& p = model.parameters[u];
    const std::string layer = std::to_string(unit.layer);
    if (unit.kind == UnitKind::projection)
      out["vision_last_hidden"] = at::layer_norm(a.hidden, {a.hidden.size(2)}, p[0], p[1], model.config.vision.layer_norm_eps);
    if (unit.kind == UnitKind::merge) out["connector_out"] = rms_norm(a.hidden, p[0], model.config.perceiver.rms_norm_eps);
    if (unit.kind == UnitKind::head) out["final_hidden"] = rms_norm(rows(a.hidden), p[0], model.config.text.rms_norm_eps);
    a = run_unit(model.config, unit, p, a, prepared);
    switch (unit.kind) {
      case UnitKind::vision_embeddings: out["vision_embeddings"] = a.hidden; break;
      case UnitKind::vision_layer: out["vision_layer_" + layer] = a.hidden; break;
      case UnitKind::projection: out["modality_projection"] = a.context; break;
      case UnitKind::perceiver_layer: out["perceiver_layer_" + layer] = a.hidden; break;
      case UnitKind::merge: out["merged_embeddings"] = rows(a.hidden); break;
      case UnitKind::text_layer: out["decoder_layer_" + layer] = rows(a.hidden); break;
      case UnitKind::head: out["scores"] = a.hidden; out["pooled"] = a.context; break;
    }
  }
  out["loss"] = at::mse_loss(out["scores"], batch.label_BK.to(device_of(model), model.dtype));
  return out;
}

// "decoder_layer_1" -> "decoder_layer"
inline std::string group_of(const std::string& key) { return key.substr(0, key.find_last_not_of("_0123456789") + 1); }

// Worst |got - want| over the largest |want| (at least 1 when `absolute`).
inline double worst_error(const at::Tensor& got, const at::Tensor& want, bool absolute) {
  const at::Tensor wide = want.to(at::kDouble);
  const double largest = wide.abs().max().item<double>();
  const double error = (got.detach().to(at::kCPU, at::kDouble).reshape(wide.sizes()) - wide).abs().max().item<double>();
  return error / (absolute ? std::max(1.0, largest) : std::max(1e-30, largest));
}

// Positions where attention_mask is 0 are undefined and left out: what they hold differs between attention implementations.
inline double masked_error(const std::string& key, const at::Tensor& got, const at::Tensor& want, const at::Tensor& attention_mask_BL) {
  if (key != "merged_embeddings" && key != "final_hidden" && !key.starts_with("decoder_layer")) return worst_error(got, want, true);
  const at::Tensor real_BL = attention_mask_BL != 0;
  return worst_error(got.cpu().index({real_BL}), want.index({real_BL}), true);
}

// A key bias of the vision tower shifts all scores of a query by the same amount, which softmax cancels: its gradient is
// mathematically zero, and what is stored for it is rounding noise.
inline bool is_noise(const std::string& name) { return name.find("vision_model") != std::string::npos && name.ends_with("k_proj.bias"); }

}  // namespace mvrm::model
