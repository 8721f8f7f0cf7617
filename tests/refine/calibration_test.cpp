// SPDX-License-Identifier: Apache-2.0
// Held-out residuals against really refitting, isotonic regression against SciPy, and probabilities against planted truth.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/refine/calibration.h>
#include <mvrm/refine/held_out.h>
#include <mvrm/refine/noise_experiment.h>

#include <algorithm>
#include <cmath>

#include "tests/refine/feature_profile.h"

namespace {

using namespace mvrm;
using test::feature_profile;
using test::kNan;
using test::table;

std::vector<double> fitted(const std::vector<double>& y, int64_t least = 1) {
  std::vector<double> x, value;
  for (size_t i = 0; i < y.size(); ++i) x.push_back(static_cast<double>(i));
  const auto fit = refine::fit_isotonic(x, y, least);
  for (const double place : x) value.push_back(fit.at(place));
  return value;
}

// scipy.optimize.isotonic_regression(y).x
TEST(Isotonic, AgreesWithSciPy) {
  const auto near = [](const std::vector<double>& a, const std::vector<double>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-15) << i;
  };
  near(fitted({1, 0, 0, 1, 0, 1, 1, 0, 1, 1}), {1.0 / 3, 1.0 / 3, 1.0 / 3, 0.5, 0.5, 2.0 / 3, 2.0 / 3, 2.0 / 3, 1, 1});
  near(fitted({3, 1, 2, 5, 4, 4, 6, 2, 9}), {2, 2, 2, 4.2, 4.2, 4.2, 4.2, 4.2, 9});
}

TEST(Isotonic, EqualPlacesAndSmallBlocks) {
  const auto fit = refine::fit_isotonic({1, 1, 2, 2}, {0, 1, 1, 1});
  EXPECT_EQ(fit.value, (std::vector<double>{0.5, 1}));
  EXPECT_EQ(fit.at(0), 0.5);
  EXPECT_EQ(fit.at(1.9), 0.5);
  EXPECT_EQ(fit.at(7), 1);
  // 0 0 0 1 with at least two in a block: the lonely 1 joins its neighbours.
  EXPECT_EQ(refine::fit_isotonic({1, 2, 3, 4}, {0, 0, 0, 1}, 2).value, (std::vector<double>{0.25}));
}

// Row 5 left out by hand: a ridge head on the other rows with the same penalty.
TEST(HeldOut, IsTheResidualOfAHeadWithoutTheLabel) {
  const auto made = feature_profile(60, 0.1, 71);
  const refine::HeldOutHead head(made.profile);
  ASSERT_TRUE(head.refits());
  const at::Tensor label_NK = made.truth_NK;   // other labels than the profile's: the factor is used again
  const at::Tensor residual_NK = head.residual(label_NK);
  const auto lambda = influence::fit_ridge(made.profile.feature_ND, made.profile.label_NK).groups.front().lambda;
  for (const int64_t n : {0, 5, 59}) {
    at::Tensor without_NK = label_NK.clone();
    without_NK[n].fill_(kNan);
    const auto refitted = influence::fit_ridge(made.profile.feature_ND, without_NK, {.lambda = lambda});
    const at::Tensor expected_K = influence::predict(refitted, made.profile.feature_ND)[n] - label_NK[n];
    EXPECT_TRUE(at::allclose(residual_NK[n], expected_K, 1e-8, 1e-10)) << residual_NK[n] << expected_K;
  }
}

TEST(HeldOut, WithoutFeaturesIsTheProfilesOwn) {
  auto made = feature_profile(30, 0, 72);
  made.profile.feature_ND = at::Tensor();
  const refine::HeldOutHead head(made.profile);
  EXPECT_FALSE(head.refits());
  EXPECT_TRUE(at::allclose(head.residual(made.profile.label_NK), made.profile.residual_NK.to(at::kDouble), 1e-6, 1e-6));
}

// A label moved far away drags the head along; a head that distrusts it judges the others better.
TEST(HeldOut, DistrustedLabelsAreNotSeen) {
  const auto made = feature_profile(80, 0, 73);
  at::Tensor label_NK = made.profile.label_NK.to(at::kDouble).clone(), distrusted_NK = at::zeros({80, 2}, at::kByte);
  distrusted_NK[4][1] = 1;
  const refine::HeldOutHead head(made.profile);
  const at::Tensor before_NK = head.residual_without(label_NK, distrusted_NK);
  label_NK[4][1] += 50;
  const at::Tensor after_NK = head.residual_without(label_NK, distrusted_NK);
  EXPECT_NEAR((before_NK - after_NK)[4][1].item<double>(), 50, 1e-6);
  after_NK[4][1] += 50;
  EXPECT_TRUE(at::allclose(after_NK, before_NK, 1e-9, 1e-9));
}

// Mean deviation between probability and truth over ten bins.
double deviation(const at::Tensor& probability_NK, const at::Tensor& corrupted_NK) {
  std::vector<double> predicted(10, 0), observed(10, 0);
  const at::Tensor probability = probability_NK.contiguous(), corrupted = corrupted_NK.contiguous();
  for (int64_t i = 0; i < probability.numel(); ++i) {
    const double p = probability.const_data_ptr<double>()[i];
    const auto bin = static_cast<size_t>(std::min(9.0, p * 10));
    predicted[bin] += p;
    observed[bin] += corrupted.const_data_ptr<uint8_t>()[i];
  }
  double sum = 0;
  for (size_t b = 0; b < 10; ++b) sum += std::abs(predicted[b] - observed[b]);
  return sum / static_cast<double>(probability.numel());
}

TEST(Calibration, ProbabilitiesMeetPlantedTruth) {
  for (const double wrong : {0.05, 0.15}) {
    SCOPED_TRACE(wrong);
    const auto made = feature_profile(2000, wrong, 81);
    const auto calibration = refine::calibrate_noise(made.profile, {.seed = 7});
    EXPECT_TRUE(calibration.held_out);
    EXPECT_LT(calibration.calibration_error, 0.01);
    EXPECT_LT(deviation(calibration.probability_NK, made.corrupted_NK), 0.03);
    for (const double share : calibration.wrong_share_K) EXPECT_NEAR(share, wrong, 0.4 * wrong);
    const at::Tensor is_wrong_NK = made.corrupted_NK.to(at::kBool);
    EXPECT_GT(calibration.probability_NK.masked_select(is_wrong_NK).mean().item<double>(), 0.5);
    EXPECT_LT(calibration.probability_NK.masked_select(is_wrong_NK.logical_not()).mean().item<double>(), 0.1);
    // The suggestion is the label before the error, more often than not by far.
    const at::Tensor right_NK = calibration.suggestion_NK.eq(made.truth_NK);
    EXPECT_GT(right_NK.masked_select(is_wrong_NK).to(at::kDouble).mean().item<double>(), 0.55);
    std::printf("wrong %.2f: estimated %.4f %.4f, deviation from truth %.4f, held-out deviation %.4f, suggestion right %.3f\n", wrong,
                calibration.wrong_share_K[0], calibration.wrong_share_K[1], deviation(calibration.probability_NK, made.corrupted_NK),
                calibration.calibration_error, right_NK.masked_select(is_wrong_NK).to(at::kDouble).mean().item<double>());
  }
}

TEST(Calibration, CleanDataAreLeftInPeace) {
  const auto made = feature_profile(2000, 0, 91);
  const auto calibration = refine::calibrate_noise(made.profile);
  EXPECT_LT(calibration.probability_NK.mean().item<double>(), 0.01);
  for (const double share : calibration.wrong_share_K) EXPECT_LT(share, 0.01);
}

TEST(Calibration, WorksWithoutFeaturesAndWithHoles) {
  auto made = feature_profile(400, 0.1, 95);
  made.profile.label_NK[3][1] = kNan;
  made.profile.residual_NK[3][1] = kNan;
  made.profile.self_influence_NK[3][1] = kNan;
  const auto with = refine::calibrate_noise(made.profile, {.rounds = 4});
  made.profile.feature_ND = at::Tensor();
  const auto without = refine::calibrate_noise(made.profile, {.rounds = 4});
  for (const auto* calibration : {&with, &without}) {
    EXPECT_TRUE(std::isnan(calibration->probability_NK[3][1].item<double>()));
    EXPECT_TRUE(std::isnan(calibration->suggestion_NK[3][1].item<double>()));
    EXPECT_EQ(calibration->probability_NK.isnan().sum().item<int64_t>(), 1);
    EXPECT_EQ(calibration->reliability.size(), 10U);
  }
  EXPECT_FALSE(without.held_out);
  EXPECT_FALSE(refine::to_json(without, made.profile.dimensions).dump().empty());
  const auto again = refine::calibrate_noise(made.profile, {.rounds = 4});
  EXPECT_TRUE(at::equal(again.probability_NK.nan_to_num(-1), without.probability_NK.nan_to_num(-1)));
  EXPECT_THROW(refine::calibrate_noise(made.profile, {.rounds = 1}), core::ConfigError);
  EXPECT_THROW(refine::calibrate_noise(made.profile, {.share = 0}), core::ConfigError);
  made.profile.label_NK = made.profile.label_NK + 0.001 * test::random_normal(400, 2, 1).to(at::kFloat);
  EXPECT_THROW(refine::calibrate_noise(made.profile), core::DataError);   // measurements, not levels
}

// Every kind of error but the nearest is found well by the refitted head's residuals on cached features.
TEST(NoiseExperiment, EveryRiskIsAskedForEveryKind) {
  const auto made = feature_profile(600, 0, 97);
  for (const auto kind : {refine::NoiseKind::uniform_other, refine::NoiseKind::farthest, refine::NoiseKind::adjacent}) {
    const auto outcome = refine::noise_experiment(made.profile, {.kind = kind, .share = 0.1}, {10});
    EXPECT_EQ(outcome.corrupted_NK.sum().item<int64_t>(), 120);
    EXPECT_LT(outcome.residual_deviation_K[0], 0.6);
    ASSERT_GE(outcome.detection.size(), 6U);
    for (const auto& [risk, detection_K] : outcome.detection) {
      if (risk == "self_influence" || risk == "held_out") {   // a step of one is within the rounding of the labels
        EXPECT_GT(detection_K[0].auroc, kind == refine::NoiseKind::adjacent ? 0.75 : 0.9) << risk;
      } else if (risk == "uncertainty") {   // holds no label of its own sample
        EXPECT_NEAR(detection_K[0].auroc, 0.5, 0.12);
      }
      EXPECT_EQ(detection_K[0].positives, 60);
    }
  }
  auto bare = made.profile;
  bare.feature_ND = at::Tensor();
  EXPECT_THROW(refine::noise_experiment(bare, {}), core::DataError);
}

}  // namespace
