// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/influence/estimator.h>
#include <mvrm/influence/leverage.h>
#include <mvrm/influence/whatif.h>
#include <mvrm/refine/noise_experiment.h>
#include <mvrm/refine/risk.h>
#include <cmath>

namespace mvrm::refine {

NoiseExperiment noise_experiment(const influence::Profile& profile, const NoiseConfig& config, const std::vector<int64_t>& counts) {
  if (!profile.feature_ND.defined()) {
    throw core::DataError("noise experiment: the profile keeps no features; make it with 'mvrm profile --features f32'");
  }
  const PlantedNoise planted = plant_noise(profile.label_NK.masked_fill(profile.residual_NK.isnan(), std::nanf("")), config);
  NoiseExperiment result{.profile = profile, .corrupted_NK = planted.corrupted_NK, .residual_deviation_K = {}, .detection = {}};
  influence::Profile& noisy = result.profile;
  const at::Tensor feature_ND = influence::fit_table(profile).feature_ND;
  const auto fit = influence::diagnostics(influence::fit_ridge(feature_ND, planted.label_NK), feature_ND, planted.label_NK);
  noisy.label_NK = planted.label_NK;
  noisy.residual_NK = fit.residual_NK.to(at::kFloat);
  noisy.prediction_NK = (fit.residual_NK + planted.label_NK).to(at::kFloat);
  noisy.self_influence_NK = influence::closed_form(noisy.residual_NK, noisy.feature_sq_norm_N).to(at::kFloat);
  for (int64_t k = 0; k < noisy.residual_NK.size(1); ++k) {
    const at::Tensor right_N = planted.corrupted_NK.select(1, k).eq(0).logical_and(noisy.residual_NK.select(1, k).isfinite());
    const at::Tensor residual = noisy.residual_NK.select(1, k).masked_select(right_N).to(at::kDouble);
    result.residual_deviation_K.push_back(residual.numel() > 1 ? residual.std().item<double>() : 0);
  }
  for (const auto& name : available_risks(noisy)) result.detection.emplace_back(name, detect(risk_named(name, noisy), planted.corrupted_NK, counts));
  return result;
}

}  // namespace mvrm::refine
