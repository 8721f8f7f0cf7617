// SPDX-License-Identifier: Apache-2.0
// Experiment A (spec/influence.md 4): a dimension with large clean residuals masks errors in the others. Scalar influence spends its budget
// on the loud dimension; disentangled pruning, reweighting and masking find the errors. A linear head is refitted exactly for each plan.
// N training samples, T test samples, K dimensions, D width.
#include <gtest/gtest.h>
#include <mvrm/train/loss.h>

#include <cmath>

#include "tests/experiments/masking.h"

namespace {

using namespace mvrm;
using namespace mvrm::experiment;

constexpr double kAlphaPercent = 4;
constexpr uint64_t kSeeds = 20;

at::Tensor weights_of(const Baseline& baseline, const std::string& strategy) {
  refine::RefineConfig config{.strategy = strategy, .alpha_percent_K = {kAlphaPercent}};
  if (strategy == "uncertainty") {   // of equal noise in every dimension: the leverage of the sample
    config.risk_tables = {{"uncertainty", baseline.leverage_NK}};
    config.budget = "match_union";
  }
  return refine::refine(baseline.profile, config).first.weight_NK;
}

// The head that the experiment uses for a plan is where the trainer's own loss plus the penalty is stationary, for hard and soft weights.
TEST(MaskingExperiment, RefittedHeadsAreStationaryPointsOfTheTrainersLoss) {
  const Setting setting = draw_setting(1);
  const Baseline baseline = fit_baseline(setting);
  for (const std::string strategy : {"none", "ddp", "ddr", "mask", "ddp+ddr"}) {
    const at::Tensor weight_NK = weights_of(baseline, strategy).to(at::kDouble), head_DK = weighted_ridge(setting, weight_NK);
    const double divisor = kSamples * kDimensions;
    const auto loss = train::weighted_loss(setting.feature_ND.mm(head_DK), setting.label_NK, weight_NK, divisor);
    const at::Tensor data_DK = setting.feature_ND.t().mm(loss.gradient_BK), penalty_DK = 2 * kLambda / divisor * head_DK;
    const double scale = setting.feature_ND.abs().t().mm(loss.gradient_BK.abs()).max().item<double>();
    EXPECT_LT((data_DK + penalty_DK).abs().max().item<double>(), 1e-12 * scale) << strategy;
    EXPECT_GT(penalty_DK.abs().max().item<double>(), 1e-9 * scale) << "the penalty would not be seen";
  }
}

TEST(MaskingExperiment, DisentangledStrategiesSeeWhatTheSumHides) {
  Gains gains;
  std::map<std::string, std::vector<double>> areas;
  std::vector<double> baselines;
  int64_t over_zsum = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    const Setting setting = draw_setting(seed);
    const Baseline baseline = fit_baseline(setting);
    baselines.push_back(baseline.spearman);
    std::map<std::string, double> gain;
    for (const std::string strategy : {"ddp", "ddr", "mask", "tracin", "tracin_zsum", "high_loss", "random", "uncertainty"})
      gain[strategy] = spearman_of(setting, weights_of(baseline, strategy)) - baseline.spearman;
    gain["without the errors"] = spearman_of(setting, 1 - setting.corrupted_NK.to(at::kDouble)) - baseline.spearman;
    for (const auto& [arm, value] : gain) gains.by_arm[arm].push_back(value);
    EXPECT_GT(gain["ddp"] - gain["tracin"], 0.015);
    EXPECT_GT(gain["ddp"], 0.015);
    EXPECT_GT(gain["ddr"], 0.015);
    EXPECT_GT(gain["mask"], 0.015);
    over_zsum += gain["ddp"] > gain["tracin_zsum"] ? 1 : 0;

    const std::map<std::string, double> area{{"self-influence", mean_auroc(refine::risk_named("self_influence", baseline.profile), setting.corrupted_NK)},
                                             {"scalar", mean_auroc(refine::risk_named("tracin", baseline.profile), setting.corrupted_NK)},
                                             {"z-sum", mean_auroc(refine::risk_named("tracin_zsum", baseline.profile), setting.corrupted_NK)},
                                             {"leverage", mean_auroc(baseline.leverage_NK, setting.corrupted_NK)}};
    for (const auto& [name, value] : area) areas[name].push_back(value);
    EXPECT_GT(area.at("self-influence"), 0.99);
    EXPECT_LT(area.at("scalar"), 0.75);
    EXPECT_LT(std::abs(area.at("leverage") - 0.5), 0.12);
  }
  EXPECT_GT(gains.mean("ddp"), gains.mean("tracin_zsum"));
  EXPECT_LT(gains.mean("random"), 0.005);
  gains.print("experiment A, Spearman minus the baseline's " + std::to_string(at::tensor(at::ArrayRef<double>(baselines)).mean().item<double>()) +
              ", mean +- standard error (range) of " + std::to_string(kSeeds) + " seeds; ddp > z-sum on " + std::to_string(over_zsum));
  for (const auto& [name, values] : areas) std::printf("  AUROC %-18s %.4f\n", name.c_str(), at::tensor(at::ArrayRef<double>(values)).mean().item<double>());
}

}  // namespace
