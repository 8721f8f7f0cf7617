// SPDX-License-Identifier: Apache-2.0
// B rows, D width, K evaluation dimensions.
#include <mvrm/model/reward_model.h>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/CPUGeneratorImpl.h>
#include <mvrm/core/random.h>

#include <limits>

#include "initialise.h"
#include "layers.h"
#include "norms.h"

namespace mvrm::model {

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

at::Device device_of(const RewardModel& model) { return model.parameters.back().back().device(); }

void move_to(RewardModel& model, at::Device device) {
  for (auto& parameters : model.parameters)
    for (auto& parameter : parameters) parameter = parameter.to(device);
}

namespace {

// Causal attention makes a position blind to what follows, so the head there scores the sample cut behind it.
core::Tensor prefix_rewards(const RewardModel& model, const core::Tensor& hidden_BLD, const core::Tensor& begin_B, const core::Tensor& position_BF) {
  const at::Tensor position = position_BF.to(hidden_BLD.device()), there = position >= 0;
  const at::Tensor hidden = hidden_BLD.flatten(0, 1).index_select(0, (begin_B.unsqueeze(1) + position.clamp_min(0)).flatten());
  const std::vector<core::Tensor>& head = model.parameters.back();
  const at::Tensor feature = rms_norm(hidden, head[0], model.config.text.rms_norm_eps);
  const at::ScalarType dtype = statistics_dtype(feature);
  return at::linear(feature.to(dtype), head[1].to(dtype), head[2].to(dtype))
      .view({position.size(0), position.size(1), head[1].size(0)})
      .masked_fill(there.logical_not().unsqueeze(2), std::numeric_limits<double>::quiet_NaN());
}

}  // namespace

RewardOutput forward(const RewardModel& model, const data::Batch& batch, const ForwardOptions& options) {
  return forward(model, to_device(prepare(model.config, batch, model.dtype), device_of(model)), options);
}

RewardOutput forward(const RewardModel& model, const PreparedBatch& prepared, const ForwardOptions& options) {
  const at::NoGradGuard no_grad;
  Activation activation;
  RewardOutput output;
  const size_t last = model.units.size() - 1;   // the head; the last text layer stands before it
  for (size_t u = 0; u < model.units.size(); ++u) {
    if (u == last && options.prefix_position_BF.defined())
      output.prefix_reward_BFK = prefix_rewards(model, activation.hidden, prepared.begin_B, options.prefix_position_BF);
    if (u + 1 == last && options.keep_skip) {
      const core::Tensor skip_BLD = text_attention(model.config, model.parameters[u], activation.hidden, prepared);
      output.skip_BD = pooled(skip_BLD, prepared);
      activation = {.hidden = text_mlp(model.config, model.parameters[u], skip_BLD), .context = {}};
    } else {
      activation = run_unit(model.config, model.units[u], model.parameters[u], activation, prepared);
    }
  }
  // A bfloat16 head would put the rewards on a grid of 1/64; the feature is what it is, the head costs nothing.
  const std::vector<core::Tensor>& head = model.parameters.back();
  output.feature_BD = activation.context;
  const at::ScalarType dtype = statistics_dtype(output.feature_BD);
  output.reward_BK = output.feature_BD.scalar_type() == dtype
                         ? activation.hidden
                         : at::linear(output.feature_BD.to(dtype), head[1].to(dtype), head[2].to(dtype));
  return output;
}

}  // namespace mvrm::model
