// SPDX-License-Identifier: Apache-2.0
// C columns of the log.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/train/engine.h>
#include <mvrm/train/loss.h>
#include <torch/csrc/autograd/autograd.h>

namespace mvrm::train {

namespace {

using model::Activation;

at::Tensor leaf_of(const at::Tensor& tensor) { return tensor.defined() ? tensor.detach().requires_grad_(true) : tensor; }

// A unit's graph, alive between its forward and its backward pass.
struct UnitGraph {
  std::vector<at::Tensor> leaves;
  Activation input, output;
};

UnitGraph record_unit(const model::ModelConfig& config, const model::Unit& unit, const std::vector<at::Tensor>& views, const Activation& input,
                      const model::PreparedBatch& batch) {
  const at::AutoGradMode enabled(true);
  UnitGraph graph;
  graph.leaves.reserve(views.size());
  for (const auto& view : views) graph.leaves.push_back(leaf_of(view));
  graph.input = {.hidden = leaf_of(input.hidden), .context = leaf_of(input.context)};
  graph.output = model::run_unit(config, unit, graph.leaves, graph.input, batch);
  return graph;
}

// Adds the gradients of the unit's parameters to `flat_gradient` and gives those of its input.
Activation backward_unit(UnitGraph graph, const FlatLayout& layout, const Activation& output_gradient, at::Tensor& flat_gradient) {
  std::vector<at::Tensor> outputs, output_gradients, wanted = graph.leaves;
  const bool context_passed_on = graph.output.context.defined() && graph.output.context.is_same(graph.input.context);
  const auto add_output = [&](const at::Tensor& value, const at::Tensor& gradient) {
    if (!value.defined() || !gradient.defined() || !value.requires_grad()) return;
    outputs.push_back(value);
    output_gradients.push_back(gradient);
  };
  add_output(graph.output.hidden, output_gradient.hidden);
  if (!context_passed_on) add_output(graph.output.context, output_gradient.context);
  if (outputs.empty()) return {};
  for (const auto& value : {graph.input.hidden, graph.input.context})
    if (value.defined()) wanted.push_back(value);
  const auto gradients = torch::autograd::grad(outputs, wanted, output_gradients, /*retain_graph=*/false, /*create_graph=*/false, /*allow_unused=*/true);
  for (size_t i = 0; i < graph.leaves.size(); ++i)
    if (gradients[i].defined()) flat_gradient.narrow(0, layout.offset[i], layout.length[i]).view(gradients[i].sizes()).add_(gradients[i]);
  Activation input_gradient;
  size_t next = graph.leaves.size();
  if (graph.input.hidden.defined()) input_gradient.hidden = gradients[next++];
  if (graph.input.context.defined()) input_gradient.context = gradients[next++];
  if (context_passed_on && output_gradient.context.defined())
    input_gradient.context = input_gradient.context.defined() ? input_gradient.context + output_gradient.context : output_gradient.context;
  return input_gradient;
}

}  // namespace

Gradients zero_gradients(const std::vector<FlatLayout>& layouts, at::TensorOptions options) {
  Gradients gradients;
  for (const auto& layout : layouts) gradients.push_back(at::zeros({layout.total}, options));
  return gradients;
}

MicroLoss forward_backward(const model::ModelConfig& config, const std::vector<model::Unit>& units, const std::vector<FlatLayout>& layouts,
                           const std::vector<std::vector<at::Tensor>>& views, const MicroBatch& micro, const EngineOptions& options,
                           Gradients& into) {
  const at::NoGradGuard no_grad;
  const model::PreparedBatch batch = model::prepare(config, micro.batch, options.dtype);
  std::vector<UnitGraph> graphs(units.size());
  Activation activation;
  for (size_t u = 0; u < units.size(); ++u) {
    if (options.recompute) {
      graphs[u].input = activation;
      activation = model::run_unit(config, units[u], views[u], activation, batch);
    } else {
      graphs[u] = record_unit(config, units[u], views[u], activation, batch);
      activation = graphs[u].output;
    }
  }
  const WeightedLoss loss = weighted_loss(activation.hidden.detach(), micro.batch.label_BK, micro.weight_BK, micro.divisor);
  Activation gradient{.hidden = loss.gradient_BK, .context = {}};
  activation = {};
  for (size_t u = units.size(); u-- > 0;) {
    UnitGraph graph = std::move(graphs[u]);
    if (options.recompute) graph = record_unit(config, units[u], views[u], graph.input, batch);
    gradient = backward_unit(std::move(graph), layouts[u], gradient, into[u]);
    if (!gradient.hidden.defined() && !gradient.context.defined()) break;   // the rest never reached the loss (a batch without images)
  }
  return {.row_BC = loss.row_BC};
}

}  // namespace mvrm::train
