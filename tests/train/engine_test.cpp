// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <mvrm/train/engine.h>
#include <torch/csrc/autograd/autograd.h>

#include "tests/support/tiny_model.h"

namespace mvrm::train {
namespace {

struct Case {
  model::RewardModel model = test::tiny_model(at::kDouble);
  std::vector<FlatLayout> layouts;
  MicroBatch micro{.batch = test::tiny_batch(model.config, 3), .weight_BK = at::rand({3, 5}, at::kDouble), .divisor = 15};
  Case() {
    for (const auto& unit : model.units) layouts.push_back(layout_of(unit, 1));
    micro.batch.label_BK[1][2] = std::nanf("");
  }
  Gradients run(const EngineOptions& options, MicroLoss* loss = nullptr) {
    Gradients into = zero_gradients(layouts, at::kDouble, options.per_dimension ? 5 : 1);
    LocalAccess access(model.parameters, into);
    const MicroLoss found = forward_backward(model.config, model.units, layouts, micro, options, access);
    if (loss != nullptr) *loss = found;
    return into;
  }
  // One autograd graph over everything; `k` >= 0: only that dimension's part of the loss.
  std::vector<at::Tensor> expected(int64_t k = -1) {
    torch::autograd::variable_list leaves;
    for (auto& unit : model.parameters)
      for (auto& parameter : unit) leaves.push_back(parameter.detach().requires_grad_());
    const auto prepared = model::prepare(model.config, micro.batch, at::kDouble);
    model::Activation activation;
    size_t next = 0;
    for (size_t u = 0; u < model.units.size(); ++u) {
      const std::vector<at::Tensor> own(leaves.begin() + static_cast<std::ptrdiff_t>(next), leaves.begin() + static_cast<std::ptrdiff_t>(next + model.parameters[u].size()));
      next += own.size();
      activation = model::run_unit(model.config, model.units[u], own, activation, prepared);
    }
    at::Tensor cell_BK = (micro.weight_BK * (activation.hidden - micro.batch.label_BK.nan_to_num()).square()).masked_fill(micro.batch.label_BK.isnan(), 0);
    if (k >= 0) cell_BK = cell_BK.select(1, k);
    return torch::autograd::grad({cell_BK.sum() / micro.divisor}, leaves, {}, false, false, /*allow_unused=*/true);
  }
  double worst(const Gradients& flat, const std::vector<at::Tensor>& gradients, size_t objective = 0) {
    double worst = 0;
    size_t next = 0;
    for (size_t u = 0; u < model.units.size(); ++u) {
      const auto views = views_of(layouts[u], model.units[u], flat[objective * model.units.size() + u]);
      for (const auto& view : views) {
        const at::Tensor& wanted = gradients[next++];
        worst = std::max(worst, (wanted.defined() ? view - wanted : view).abs().max().item<double>());
      }
    }
    return worst;
  }
};

TEST(Engine, GradientsAreThoseOfOneGraphWithAndWithoutRecompute) {
  Case c;
  const auto expected = c.expected();
  MicroLoss loss;
  const Gradients again = c.run({.dtype = at::kDouble, .recompute = true}, &loss), kept = c.run({.dtype = at::kDouble, .recompute = false});
  EXPECT_LT(c.worst(again, expected), 1e-12);
  for (size_t u = 0; u < again.size(); ++u) EXPECT_TRUE(at::equal(again[u], kept[u])) << u;
  EXPECT_EQ(loss.row_BC.sizes(), at::IntArrayRef({3, 11}));
  EXPECT_TRUE(at::allclose(loss.reward_BK, model::forward(c.model, c.micro.batch).reward_BK, 0, 1e-12));
}

TEST(Engine, AGradientForEachDimension) {
  Case c;
  for (const bool recompute : {true, false}) {
    const Gradients found = c.run({.dtype = at::kDouble, .recompute = recompute, .per_dimension = true});
    for (int64_t k = 0; k < 5; ++k) EXPECT_LT(c.worst(found, c.expected(k), static_cast<size_t>(k)), 1e-12) << k;
  }
}

TEST(Engine, ABatchWithoutPicturesLeavesTheVisionPartAlone) {
  Case c;
  c.micro.batch.pixels_RCHW.reset();
  c.micro.batch.input_ids_BL = c.micro.batch.input_ids_BL.masked_fill(c.micro.batch.input_ids_BL == test::kTinyImageToken, 3);
  const Gradients found = c.run({.dtype = at::kDouble});
  EXPECT_LT(c.worst(found, c.expected()), 1e-12);
  EXPECT_EQ(found.front().abs().max().item<double>(), 0);
  EXPECT_GT(found.back().abs().max().item<double>(), 0);
}

// Every rank makes the same calls, whatever it has to compute: they may be collectives.
class Recorder : public LocalAccess {
 public:
  using LocalAccess::LocalAccess;
  std::vector<core::Tensor> parameters(size_t u) override { return calls += "p" + std::to_string(u), LocalAccess::parameters(u); }
  void announce(size_t u) override { calls += "a" + std::to_string(u); }
  void release(size_t u) override { calls += "r" + std::to_string(u); }
  void finished(size_t u) override { calls += "f" + std::to_string(u); }
  std::string calls;
};
TEST(Engine, MakesTheSameCallsWithoutSamples) {
  Case c;
  Gradients into = zero_gradients(c.layouts, at::kDouble);
  for (const bool recompute : {true, false}) {
    Recorder busy(c.model.parameters, into), idle(c.model.parameters, into), textual(c.model.parameters, into);
    const EngineOptions options{.dtype = at::kDouble, .recompute = recompute};
    forward_backward(c.model.config, c.model.units, c.layouts, c.micro, options, busy);
    forward_backward(c.model.config, c.model.units, c.layouts, {}, options, idle);
    MicroBatch text = c.micro;
    text.batch.pixels_RCHW.reset();
    text.batch.input_ids_BL = text.batch.input_ids_BL.masked_fill(text.batch.input_ids_BL == test::kTinyImageToken, 3);
    forward_backward(c.model.config, c.model.units, c.layouts, text, options, textual);
    EXPECT_EQ(busy.calls, idle.calls);
    EXPECT_EQ(busy.calls, textual.calls);
    EXPECT_EQ(busy.calls.substr(0, 8), "p0a1r0p1");
  }
}

}  // namespace
}  // namespace mvrm::train
