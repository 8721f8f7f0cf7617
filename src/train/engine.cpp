// SPDX-License-Identifier: Apache-2.0
// C columns of the log.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
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
Activation backward_unit(const UnitGraph& graph, const FlatLayout& layout, const Activation& output_gradient, at::Tensor flat_gradient, bool keep_graph) {
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
  const auto gradients = torch::autograd::grad(outputs, wanted, output_gradients, /*retain_graph=*/keep_graph, /*create_graph=*/false, /*allow_unused=*/true);
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

// One micro-batch on its way through the units.
class Pass {
 public:
  Pass(const model::ModelConfig& config, const std::vector<model::Unit>& units, const std::vector<FlatLayout>& layouts, const MicroBatch& micro,
       const EngineOptions& options, UnitAccess& access)
      : config_(config), units_(units), layouts_(layouts), options_(options), access_(access), idle_(micro.batch.ids.empty()), graphs_(units.size()) {
    if (!idle_) batch_ = micro.prepared ? *micro.prepared : model::prepare(config, micro.batch, options.dtype);
  }

  Activation forward() {
    Activation activation;
    for (size_t u = 0; u < units_.size(); ++u) {
      const auto parameters = access_.parameters(u);
      if (u + 1 < units_.size()) access_.announce(u + 1);
      if (!idle_ && options_.recompute) {
        graphs_[u].input = activation;
        activation = model::run_unit(config_, units_[u], parameters, activation, batch_);
      } else if (!idle_) {
        graphs_[u] = record_unit(config_, units_[u], parameters, activation, batch_);
        activation = graphs_[u].output;
      }
      access_.release(u);
    }
    return activation;
  }

  // `gradients`: of the last unit's output, one for each objective.
  void backward(std::vector<Activation> gradients) {
    for (size_t u = units_.size(); u-- > 0;) {
      UnitGraph graph = std::move(graphs_[u]);
      // False once the rest of the units never reached the loss (a batch without images); other ranks may need them all the same.
      const bool reached = !idle_ && (gradients.front().hidden.defined() || gradients.front().context.defined());
      if (options_.recompute) {
        const auto parameters = access_.parameters(u);
        if (u > 0) access_.announce(u - 1);
        if (reached) graph = record_unit(config_, units_[u], parameters, graph.input, batch_);
      }
      for (size_t o = 0; reached && o < gradients.size(); ++o)
        gradients[o] = backward_unit(graph, layouts_[u], gradients[o], access_.gradient(o, u), /*keep_graph=*/o + 1 < gradients.size());
      graph = {};
      if (options_.recompute) access_.release(u);
      access_.finished(u);
    }
  }

 private:
  const model::ModelConfig& config_;
  const std::vector<model::Unit>& units_;
  const std::vector<FlatLayout>& layouts_;
  const EngineOptions& options_;
  UnitAccess& access_;
  bool idle_;
  model::PreparedBatch batch_;
  std::vector<UnitGraph> graphs_;
};

// The gradient of each dimension's part of the loss: the whole gradient's column, the others 0.
std::vector<Activation> columns_of(const at::Tensor& gradient_BK) {
  std::vector<Activation> columns;
  for (int64_t k = 0; k < gradient_BK.size(1); ++k) {
    at::Tensor column_BK = at::zeros_like(gradient_BK);
    column_BK.select(1, k).copy_(gradient_BK.select(1, k));
    columns.push_back({.hidden = column_BK, .context = {}});
  }
  return columns;
}

}  // namespace

Gradients zero_gradients(const std::vector<FlatLayout>& layouts, at::TensorOptions options, int64_t objectives) {
  Gradients gradients;
  for (int64_t o = 0; o < objectives; ++o)
    for (const auto& layout : layouts) gradients.push_back(at::zeros({layout.total}, options));
  return gradients;
}

MicroLoss forward_backward(const model::ModelConfig& config, const std::vector<model::Unit>& units, const std::vector<FlatLayout>& layouts,
                           const MicroBatch& micro, const EngineOptions& options, UnitAccess& access) {
  const at::NoGradGuard no_grad;
  Pass pass(config, units, layouts, micro, options, access);
  MicroLoss result;
  std::vector<Activation> gradients(1);
  {
    const Activation output = pass.forward();
    if (output.hidden.defined()) {
      result = {.row_BC = {}, .reward_BK = output.hidden.detach(), .feature_BD = output.context.detach()};
      const WeightedLoss loss = weighted_loss(result.reward_BK, micro.batch.label_BK, micro.weight_BK, micro.divisor);
      result.row_BC = loss.row_BC;
      gradients = options.per_dimension ? columns_of(loss.gradient_BK) : std::vector<Activation>{{.hidden = loss.gradient_BK, .context = {}}};
    }
  }
  pass.backward(std::move(gradients));
  return result;
}

}  // namespace mvrm::train
