// SPDX-License-Identifier: Apache-2.0
// Three AdamW steps through the program's own engine and optimiser against torch.optim.AdamW: losses, gradient norms, parameters.
#pragma once
#include <gtest/gtest.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/train/engine.h>
#include <mvrm/train/train_state.h>

#include "tests/model/golden_case.h"
#include "tests/support/fidelity.h"

namespace mvrm::train {

struct GoldenRun {
  std::vector<double> losses, norms;   // one loss more: after the last step
  model::RewardModel model;
};

inline bool is_score(const std::string& name) { return name.starts_with("score."); }

inline void keep_score_alone(const std::vector<model::Unit>& units, const std::vector<FlatLayout>& layouts, Gradients& gradients) {
  for (size_t u = 0; u < units.size(); ++u) {
    const auto views = views_of(layouts[u], units[u], gradients[u]);
    for (size_t i = 0; i < views.size(); ++i)
      if (!is_score(units[u].parameters[i].name)) views[i].zero_();
  }
}

// `head_only`: everything but the score layer stays as it is. The manifest's run decays every parameter.
inline GoldenRun three_steps(at::ScalarType dtype, const nlohmann::json& setup, bool head_only, bool recompute, at::Device device) {
  const std::string name = setup.at("case");
  GoldenRun run{.losses = {}, .norms = {}, .model = model::golden_model(dtype, name, model::Compatibility::reference, device)};
  const auto comm = dist::make_single();
  TrainState state(run.model, *comm, [&](const std::string& parameter) { return !head_only || is_score(parameter); });
  const data::Batch batch = model::golden_batch(model::read_named("model_f32.safetensors"), name);
  const MicroBatch micro{.batch = batch, .prepared = model::to_device(model::prepare(run.model.config, batch, dtype), device), .weight_BK = at::ones(batch.label_BK.sizes(), at::kDouble), .divisor = static_cast<double>(batch.label_BK.numel())};
  const auto& clip = setup.at(head_only ? "clip_head" : "clip_full");
  const OptimizerConfig config{.lr = setup.at("lr"), .betas = setup.at("betas").get<std::vector<double>>(), .eps = setup.at("eps"),
                               .weight_decay = setup.at("weight_decay"), .clip_norm = clip.is_null() ? 0.0 : clip.get<double>()};
  const int64_t steps = setup.at("steps");
  for (int64_t step = 1; step <= steps + 1; ++step) {
    Gradients gradients = zero_gradients(state.layouts(), state.gradient_options());
    LocalAccess access(run.model.parameters, gradients);
    const MicroLoss loss = forward_backward(run.model.config, run.model.units, state.layouts(), micro, {.dtype = dtype, .recompute = recompute}, access);
    run.losses.push_back(loss.row_BC.select(1, 0).sum().item<double>() / micro.divisor);
    if (step > steps) break;
    if (head_only) keep_score_alone(run.model.units, state.layouts(), gradients);
    run.norms.push_back(state.global_norm(gradients, *comm));
    state.update(gradients, run.norms.back(), config.lr, step, config, *comm);
  }
  return run;
}

// `most`: 99.9 % of all compared values. AdamW divides a gradient by its own size, so float32 noise in a gradient near zero moves a few
// values by a visible part of the learning rate, whoever computes it.
struct Tolerance { double loss, norm, worst, most; };

inline void compare_training(const std::string& reference, at::ScalarType dtype, const Tolerance& tolerance, bool recompute = true,
                             at::Device device = at::kCPU) {
  const auto setup = test::golden_json("manifest.json").at("train");
  const model::Named want = model::starting_with(model::read_named("train.safetensors"), reference + ".");
  const GoldenRun run = three_steps(dtype, setup, reference.starts_with("head"), recompute, device);
  const std::string title = "3 AdamW steps, " + reference + (recompute ? "" : " (graphs kept)");
  test::Fidelity losses(title + ", loss, relative", tolerance.loss), norms(title + ", gradient norm, relative", tolerance.norm);
  test::Fidelity worst(title + ", parameters, absolute", tolerance.worst), most(title + ", 99.9 % of the parameters, absolute", tolerance.most);
  std::vector<at::Tensor> differences;
  losses.add("4 losses", model::worst_error(at::tensor(run.losses, at::kDouble), want.at("losses"), true), reference);
  norms.add("3 norms", model::worst_error(at::tensor(run.norms, at::kDouble), want.at("grad_norms"), true), reference);
  for (size_t u = 0; u < run.model.units.size(); ++u)
    for (size_t i = 0; i < run.model.units[u].parameters.size(); ++i) {
      const std::string& name = run.model.units[u].parameters[i].name;
      const auto found = want.find("param." + name);
      if (found == want.end() || model::is_noise(name)) continue;
      differences.push_back((run.model.parameters[u][i].to(at::kCPU, at::kDouble) - found->second).abs().flatten());
      worst.add("worst value", differences.back().max().item<double>(), name);
    }
  EXPECT_EQ(worst.count(), static_cast<int64_t>(model::starting_with(want, "param.").size()));
  most.add("worst value", at::quantile(at::cat(differences), 0.999).item<double>(), reference);
}

}  // namespace mvrm::train
