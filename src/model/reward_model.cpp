// SPDX-License-Identifier: Apache-2.0
// B rows, D width, K evaluation dimensions.
#include <mvrm/model/reward_model.h>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <mvrm/core/random.h>

#include "initialise.h"
#include "norms.h"

namespace mvrm::model {
namespace {

data::Batch moved(data::Batch batch, const at::Device& device) {
  for (core::Tensor* tensor : {&batch.input_ids_BL, &batch.attention_mask_BL, &batch.pixels_RCHW, &batch.pixel_mask_RHW})
    if (tensor->defined()) *tensor = tensor->to(device);
  return batch;
}

}  // namespace

core::Tensor initial_parameter(const ParameterSpec& spec, const ModelConfig& config, at::ScalarType dtype, uint64_t seed) {
  const bool is_bias = spec.name.ends_with(".bias");
  if (is_bias) return at::zeros(spec.shape, dtype);
  if (spec.name.find("norm") != std::string::npos) return at::ones(spec.shape, dtype);
  const at::Generator generator = at::detail::createCPUGenerator(core::combine64(seed, core::hash64(spec.name)));
  const at::Tensor value = at::empty(spec.shape, at::kFloat).normal_(0, config.text.initializer_range, generator);
  if (spec.name.ends_with("embed_tokens.weight") && config.text.pad_token_id >= 0) value[config.text.pad_token_id].zero_();
  return value.to(dtype);
}

RewardModel random_reward_model(const ModelConfig& config, at::ScalarType dtype, uint64_t seed) {
  const at::NoGradGuard no_grad;
  RewardModel model{.config = config, .units = make_units(config), .parameters = {}, .dtype = dtype};
  for (const Unit& unit : model.units) {
    std::vector<core::Tensor>& parameters = model.parameters.emplace_back();
    for (const ParameterSpec& spec : unit.parameters) parameters.push_back(initial_parameter(spec, config, dtype, seed));
  }
  return model;
}

RewardOutput forward(const RewardModel& model, const data::Batch& batch) {
  const at::NoGradGuard no_grad;
  const at::Device device = model.parameters.back().back().device();
  const PreparedBatch prepared =
      prepare(model.config, batch.input_ids_BL.device() == device ? batch : moved(batch, device), model.dtype);
  Activation activation;
  for (size_t u = 0; u < model.units.size(); ++u)
    activation = run_unit(model.config, model.units[u], model.parameters[u], activation, prepared);
  // A bfloat16 head would put the rewards on a grid of 1/64; the feature is what it is, the head costs nothing.
  const std::vector<core::Tensor>& head = model.parameters.back();
  const core::Tensor feature_BD = activation.context;
  const at::ScalarType dtype = statistics_dtype(feature_BD);
  const core::Tensor reward_BK = feature_BD.scalar_type() == dtype
                                     ? activation.hidden
                                     : at::linear(feature_BD.to(dtype), head[1].to(dtype), head[2].to(dtype));
  return {.reward_BK = reward_BK, .feature_BD = feature_BD, .prefix_reward_BLK = {}};
}

}  // namespace mvrm::model
