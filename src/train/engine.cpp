// SPDX-License-Identifier: Apache-2.0
// B samples of a micro-batch, K dimensions.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/train/engine.h>
#include <torch/csrc/autograd/autograd.h>

namespace mvrm::train {

namespace {

using model::Activation;

at::Tensor leaf_of(const at::Tensor& tensor) { return tensor.defined() ? tensor.detach().requires_grad_(true) : tensor; }

// d loss / d reward = 2 w r / divisor; cells without a label have weight 0 and must not carry their NaN along.
at::Tensor loss_gradient(const at::Tensor& reward_BK, const MicroBatch& micro, MicroLoss& result) {
  const at::Tensor labelled_BK = micro.batch.label_BK.isfinite();
  const at::Tensor label_BK = micro.batch.label_BK.to(at::kDouble).nan_to_num(0.0);
  const at::Tensor residual_BK = at::where(labelled_BK, reward_BK.to(at::kDouble) - label_BK, at::zeros_like(label_BK));
  const at::Tensor weighted_BK = residual_BK * micro.weight_BK;
  result.loss = (weighted_BK * residual_BK).sum().item<double>() / micro.divisor;
  const at::Tensor sum_sq_K = residual_BK.square().sum(0), count_K = labelled_BK.sum(0).to(at::kDouble);
  result.sum_sq_K.assign(sum_sq_K.const_data_ptr<double>(), sum_sq_K.const_data_ptr<double>() + sum_sq_K.numel());
  result.count_K.assign(count_K.const_data_ptr<double>(), count_K.const_data_ptr<double>() + count_K.numel());
  return (weighted_BK * (2.0 / micro.divisor)).to(reward_BK.scalar_type());
}

// Gradients of one unit; `output_gradient` in, gradient of the unit's input out.
Activation backward_unit(const model::ModelConfig& config, const model::Unit& unit, const FlatLayout& layout, const std::vector<at::Tensor>& views,
                         const Activation& input, const Activation& output_gradient, const model::PreparedBatch& batch, at::Tensor& flat_gradient) {
  at::AutoGradMode enabled(true);
  std::vector<at::Tensor> leaves;
  for (const auto& view : views) leaves.push_back(leaf_of(view));
  const Activation leaf_input{.hidden = leaf_of(input.hidden), .context = leaf_of(input.context)};
  const Activation output = model::run_unit(config, unit, leaves, leaf_input, batch);

  std::vector<at::Tensor> outputs, output_gradients, wanted = leaves;
  const auto add_output = [&](const at::Tensor& value, const at::Tensor& gradient) {
    if (!value.defined() || !gradient.defined() || !value.requires_grad()) return;
    outputs.push_back(value);
    output_gradients.push_back(gradient);
  };
  add_output(output.hidden, output_gradient.hidden);
  add_output(output.context, output_gradient.context);
  if (outputs.empty()) return {};
  for (const auto& value : {leaf_input.hidden, leaf_input.context}) {
    if (value.defined()) wanted.push_back(value);
  }
  const auto gradients = torch::autograd::grad(outputs, wanted, output_gradients, /*retain_graph=*/false, /*create_graph=*/false, /*allow_unused=*/true);
  at::NoGradGuard no_grad;
  for (size_t i = 0; i < leaves.size(); ++i) {
    if (gradients[i].defined()) flat_gradient.slice(0, layout.offset[i], layout.offset[i] + layout.length[i]).add_(gradients[i].flatten());
  }
  Activation input_gradient;
  size_t next = leaves.size();
  if (leaf_input.hidden.defined()) input_gradient.hidden = gradients[next++];
  if (leaf_input.context.defined()) input_gradient.context = gradients[next++];
  return input_gradient;
}

}  // namespace

Gradients zero_gradients(const std::vector<FlatLayout>& layouts, at::ScalarType dtype) {
  Gradients gradients;
  for (const auto& layout : layouts) gradients.push_back(at::zeros({layout.total}, dtype));
  return gradients;
}

MicroLoss forward_backward(const model::ModelConfig& config, const std::vector<model::Unit>& units, const std::vector<FlatLayout>& layouts,
                           const std::vector<std::vector<at::Tensor>>& views, const MicroBatch& micro, at::ScalarType dtype, Gradients& into) {
  at::NoGradGuard no_grad;
  const model::PreparedBatch batch = model::prepare(config, micro.batch, dtype);
  std::vector<Activation> inputs(units.size());
  Activation activation;
  for (size_t u = 0; u < units.size(); ++u) {
    inputs[u] = activation;
    activation = model::run_unit(config, units[u], views[u], activation, batch);
  }
  MicroLoss result;
  Activation gradient{.hidden = loss_gradient(activation.hidden, micro, result), .context = {}};
  activation = {};
  for (size_t u = units.size(); u-- > 0;) {
    gradient = backward_unit(config, units[u], layouts[u], views[u], inputs[u], gradient, batch, into[u]);
    inputs[u] = {};
    if (!gradient.hidden.defined() && !gradient.context.defined()) break;   // the rest never reached the loss (a batch without images)
  }
  return result;
}

}  // namespace mvrm::train
