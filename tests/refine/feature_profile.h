// SPDX-License-Identifier: Apache-2.0
// A profile with features whose labels are 1..4, a linear function of the features plus noise, rounded; a share of them can be wrong.
#pragma once
#include <mvrm/influence/estimator.h>
#include <mvrm/influence/leverage.h>
#include <mvrm/refine/noise.h>

#include "tests/refine/hand_profile.h"

namespace mvrm::test {

struct FeatureProfile {
  influence::Profile profile;
  at::Tensor truth_NK, corrupted_NK;   // labels before the errors; uint8
};
inline FeatureProfile feature_profile(int64_t rows, double wrong, uint64_t seed, double noise = 0.3) {
  constexpr int64_t kWidth = 12, kDimensions = 2;
  const at::Tensor feature_ND = random_normal(rows, kWidth, seed);
  const at::Tensor reward_NK = 2.5 + feature_ND.mm(random_normal(kWidth, kDimensions, seed + 1)) / 3.0;
  const at::Tensor truth_NK = (reward_NK + noise * random_normal(rows, kDimensions, seed + 2)).round().clamp(1, 4);
  const auto planted = refine::plant_noise(truth_NK, {.share = wrong, .seed = seed + 3});
  const auto head = influence::fit_ridge(feature_ND, planted.label_NK);
  FeatureProfile made{.profile = profile_of(numbered_ids(rows), at::ones({rows, kDimensions}, at::kDouble), planted.label_NK),
                      .truth_NK = truth_NK, .corrupted_NK = planted.corrupted_NK};
  auto& profile = made.profile;
  profile.feature_ND = feature_ND.to(at::kFloat);
  profile.feature_sq_norm_N = feature_ND.square().sum(1).to(at::kFloat);
  profile.prediction_NK = influence::predict(head, feature_ND).to(at::kFloat);
  profile.residual_NK = profile.prediction_NK - profile.label_NK;
  profile.self_influence_NK = influence::closed_form(profile.residual_NK, profile.feature_sq_norm_N).to(at::kFloat);
  return made;
}

}  // namespace mvrm::test
