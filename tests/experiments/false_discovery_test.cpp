// SPDX-License-Identifier: Apache-2.0
// Automatic alpha on the data of experiment A (spec/influence.md 5.3): Benjamini-Hochberg on leave-one-out residuals takes about the labels
// that are wrong, next to nothing of a loud but clean dimension, and about nothing of clean data.
#include <gtest/gtest.h>
#include <mvrm/refine/automatic_alpha.h>

#include "tests/experiments/masking.h"

namespace {

using namespace mvrm;
using namespace mvrm::experiment;

TEST(FalseDiscovery, AlphaIsTheShareOfWrongLabels) {
  double clean_dimension = 0, corrupted_dimensions = 0, clean_data = 0, false_share = 0, power = 0, gain = 0, least_gain = 1;
  constexpr int kTrials = 10;
  for (uint64_t seed = 0; seed < kTrials; ++seed) {
    SCOPED_TRACE(seed);
    const Setting setting = draw_setting(seed);
    const Baseline baseline = fit_baseline(setting);
    const auto found = refine::automatic_alpha(baseline.profile, 0.1);
    const at::Tensor wrong_NK = setting.corrupted_NK.to(at::kBool), taken_NK = found.rejected_NK.to(at::kBool);
    const double hits = wrong_NK.logical_and(taken_NK).sum().item<double>();
    const double false_here = 1 - hits / taken_NK.sum().item<double>(), power_here = hits / wrong_NK.sum().item<double>();
    EXPECT_LT(found.percent_K[0], 0.5);
    EXPECT_LT(false_here, 0.15);
    EXPECT_GT(power_here, 0.99);
    const auto plan = refine::refine(baseline.profile, {.strategy = "mask", .automatic_alpha = true}).first;
    const double gain_here = spearman_of(setting, plan.weight_NK) - baseline.spearman;
    EXPECT_GT(gain_here, 0.015);
    clean_dimension += found.percent_K[0] / kTrials;
    for (size_t k = 1; k < 5; ++k) corrupted_dimensions += found.percent_K[k] / (4 * kTrials);
    false_share += false_here / kTrials;
    power += power_here / kTrials;
    gain += gain_here / kTrials;
    least_gain = std::min(least_gain, gain_here);

    Setting clean = setting;
    clean.label_NK = setting.clean_label_NK;
    const Baseline clean_baseline = fit_baseline(clean);
    for (const double percent : refine::automatic_alpha(clean_baseline.profile, 0.1).percent_K) {
      EXPECT_LT(percent, 0.5);
      clean_data += percent / (5 * kTrials);
    }
  }
  EXPECT_LT(clean_data, 0.1);
  EXPECT_NEAR(corrupted_dimensions, 4, 0.6);
  std::printf("automatic alpha, %d seeds: %.3f %% in the clean loud dimension, %.3f %% where 4 %% are wrong, %.3f %% on clean data; false share %.3f, "
              "power %.4f; mask gains %+.4f (least %+.4f)\n", kTrials, clean_dimension, corrupted_dimensions, clean_data, false_share, power, gain, least_gain);
}

}  // namespace
