// SPDX-License-Identifier: Apache-2.0
// N samples, K dimensions, D feature width.
#include <mvrm/influence/estimator.h>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <mvrm/core/error.h>
#include <mvrm/influence/bayes_head.h>
#include <mvrm/influence/leverage.h>
#include <mvrm/influence/matrix.h>
#include <mvrm/influence/whatif.h>
#include <torch/csrc/autograd/autograd.h>
#include <cmath>

namespace mvrm::influence {

at::Tensor closed_form(const at::Tensor& residual_NK, const at::Tensor& feature_sq_norm_N, bool with_bias) {
  core::check_shape(feature_sq_norm_N, {residual_NK.size(0)}, "feature_sq_norm");
  const at::Tensor norm_N1 = feature_sq_norm_N.to(at::kDouble).unsqueeze(1) + (with_bias ? 1.0 : 0.0);
  return residual_NK.to(at::kDouble).square() * norm_N1;
}

at::Tensor tracin_scalar(const at::Tensor& self_influence_NK) { return self_influence_NK.to(at::kDouble).nansum(1); }

at::Tensor tracin(const std::vector<Checkpoint>& checkpoints) {
  if (checkpoints.empty()) throw core::ConfigError("tracin: needs at least one checkpoint");
  const Profile& first = *checkpoints.front().profile;
  at::Tensor sum_NK = at::zeros_like(first.residual_NK, at::kDouble);
  for (const auto& [profile, learning_rate] : checkpoints) {
    if (!(learning_rate > 0 && std::isfinite(learning_rate))) throw core::ConfigError("tracin: a checkpoint's learning rate must be > 0");
    if (profile->ids != first.ids || profile->dimensions != first.dimensions || profile->data_hash != first.data_hash) {
      throw core::DataError("tracin: the checkpoints are profiles of different data files; profile the same file with every checkpoint");
    }
    sum_NK += learning_rate * closed_form(profile->residual_NK, profile->feature_sq_norm_N);
  }
  return sum_NK;
}

at::Tensor autograd_influence(const at::Tensor& feature_ND, const at::Tensor& label_NK, const at::Tensor& weight_KD, const at::Tensor& bias_K,
                              bool with_bias) {
  const at::AutoGradMode grad_mode(true);
  const at::Tensor weight = weight_KD.to(at::kDouble).clone().requires_grad_(true), bias = bias_K.to(at::kDouble).clone().requires_grad_(true);
  const at::Tensor label = label_NK.to(at::kDouble);
  at::Tensor risk_NK = at::empty(label_NK.sizes(), at::kDouble);
  for (int64_t n = 0; n < label.size(0); ++n) {
    const at::Tensor residual_K = at::linear(feature_ND[n].to(at::kDouble), weight, bias) - label[n];
    for (int64_t k = 0; k < label.size(1); ++k) {
      const auto gradient = torch::autograd::grad({0.5 * residual_K[k].square()}, {weight, bias}, {}, /*retain_graph=*/true);
      const at::Tensor square = gradient[0].square().sum();
      risk_NK[n][k].copy_(with_bias ? square + gradient[1].square().sum() : square);
    }
  }
  return risk_NK;
}

namespace {

// Rows that were not computed have no feature; their labels don't enter a fit either. The features themselves are not copied.
FitTable table_of(const EstimatorInput& input, const char* name) {
  if (!input.profile->feature_ND.defined()) {
    throw core::DataError(std::string("estimator ") + name + ": the profile keeps no features; make it with 'mvrm profile --features f32'");
  }
  return fit_table(*input.profile);
}
RidgeDiagnostics ridge_diagnostics(const EstimatorInput& input, const char* name) {
  const auto [feature_ND, label_NK] = table_of(input, name);
  return diagnostics(fit_ridge(feature_ND, label_NK), feature_ND, label_NK);
}

at::Tensor run_closed_form(const EstimatorInput& input) { return closed_form(input.profile->residual_NK, input.profile->feature_sq_norm_N); }
at::Tensor run_closed_form_bias(const EstimatorInput& input) {
  return closed_form(input.profile->residual_NK, input.profile->feature_sq_norm_N, true);
}
at::Tensor run_loss(const EstimatorInput& input) { return input.profile->residual_NK.to(at::kDouble).square(); }
at::Tensor run_online_relative(const EstimatorInput& input) {
  const Profile& profile = *input.profile;
  if (!profile.running_loss_NK.defined()) {
    throw core::DataError("estimator online_relative: the profile was not collected in training; train with train.collect_influence: true");
  }
  return profile.residual_NK.to(at::kDouble).square() / profile.running_loss_NK.to(at::kDouble);
}
at::Tensor run_tracin(const EstimatorInput& input) {
  std::vector<Checkpoint> checkpoints = input.checkpoints;
  if (checkpoints.empty()) checkpoints.push_back({.profile = input.profile});
  return tracin(checkpoints);
}
at::Tensor run_tracin_scalar(const EstimatorInput& input) {
  const at::Tensor sum_NK = run_tracin(input);
  return tracin_scalar(sum_NK).unsqueeze(1).expand_as(sum_NK).masked_fill(sum_NK.isnan(), std::nan(""));
}
at::Tensor run_autograd(const EstimatorInput& input) {
  if (!input.weight_KD.defined()) throw core::DataError("estimator autograd: needs the head's parameters; give --head MODEL");
  const auto [feature_ND, label_NK] = table_of(input, "autograd");
  return autograd_influence(feature_ND, label_NK, input.weight_KD, input.bias_K);
}
at::Tensor run_row_sum(const EstimatorInput& input) {
  const Profile& profile = *input.profile;
  if (!profile.kernel_NKK.defined()) {
    throw core::DataError("estimator row_sum: the profile keeps no gradient products; make it with 'mvrm profile --space head+mlp'");
  }
  const at::Tensor residual_NK = profile.residual_NK.to(at::kDouble);
  return row_sum(profile.kernel_NKK.to(at::kDouble) * residual_NK.unsqueeze(2) * residual_NK.unsqueeze(1));
}
at::Tensor run_ridge_inverse(const EstimatorInput& input) { return ridge_diagnostics(input, "ridge_inverse").self_influence_NK; }
at::Tensor run_cook(const EstimatorInput& input) { return ridge_diagnostics(input, "ridge_cook").cook_NK; }
at::Tensor run_leave_one_out(const EstimatorInput& input) { return ridge_diagnostics(input, "ridge_loo").loo_residual_NK.square(); }
at::Tensor run_studentised(const EstimatorInput& input) { return ridge_diagnostics(input, "ridge_studentised").studentised_NK.square(); }
at::Tensor run_vbll(const EstimatorInput& input) {
  const auto [feature_ND, label_NK] = table_of(input, "vbll");
  return predictive_variance(fit_bayes(feature_ND, label_NK), feature_ND).masked_fill(input.profile->done_N.eq(0).unsqueeze(1), std::nan(""));
}

}  // namespace

const std::vector<EstimatorEntry>& estimators() {
  using Needs = EstimatorEntry::Needs;
  static const std::vector<EstimatorEntry> entries = {
      {"closed_form", "head weights", "r^2 |h|^2, the squared gradient of half the squared residual (default)", run_closed_form},
      {"closed_form_bias", "head weights and biases", "r^2 (|h|^2 + 1)", run_closed_form_bias},
      {"loss", "none", "r^2, the plain loss of each dimension", run_loss},
      {"online_relative", "none", "r^2 over its running mean when training saw the label (profiles of train.collect_influence)", run_online_relative,
       Needs::training},
      {"tracin", "head weights", "closed form summed over checkpoints, each times its learning rate (--checkpoint)", run_tracin, Needs::checkpoints},
      {"tracin_scalar", "head weights", "tracin summed over dimensions: one number a sample", run_tracin_scalar, Needs::checkpoints},
      {"row_sum", "as --space said", "sum over k of r_j r_k times the product of the gradients of rewards j and k", run_row_sum, Needs::products},
      {"ridge_inverse", "head refitted by ridge regression", "r^2 leverage: the exact inverse Hessian instead of the identity", run_ridge_inverse, Needs::features},
      {"ridge_loo", "head refitted by ridge regression", "squared leave-one-out residual", run_leave_one_out, Needs::features},
      {"ridge_studentised", "head refitted by ridge regression", "squared studentised residual: r^2 / (s^2 (1 - leverage))", run_studentised, Needs::features},
      {"ridge_cook", "head refitted by ridge regression", "Cook's distance", run_cook, Needs::features},
      {"vbll", "head, Bayesian", "predictive variance; sees unusual clips, not wrong labels", run_vbll, Needs::features},
      {"autograd", "head weights", "closed_form by backward passes: slow, an independent check", run_autograd, Needs::features},
  };
  return entries;
}

const EstimatorEntry& estimator_named(const std::string& name) {
  std::string known;
  for (const auto& entry : estimators()) {
    if (name == entry.name) return entry;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw core::ConfigError("unknown estimator '" + name + "'; known: " + known);
}

at::Tensor estimate(const std::string& name, const EstimatorInput& input) { return estimator_named(name).risk(input); }

}  // namespace mvrm::influence
