// SPDX-License-Identifier: Apache-2.0
// Experiment B (spec/influence.md 4): a small network whose layers the dimensions share, trained with the trainer's loss, profiled, refined and
// trained again from its first parameters. Errors in one dimension reach the others through the shared layers.
// N training samples, T test samples, B samples of a batch, K dimensions, I inputs, D width.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <mvrm/refine/noise.h>
#include <mvrm/train/loss.h>
#include <ATen/ops/_fused_adamw.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "tests/experiments/experiment.h"

namespace {

using namespace mvrm;
using namespace mvrm::experiment;

constexpr int64_t kSamples = 4000, kTest = 2000, kInputs = 24, kWidth = 64, kDimensions = 5, kBatch = 64;
constexpr double kLearningRate = 3e-3;
constexpr uint64_t kSeeds = 8;

struct Setting {
  at::Tensor input_NI, label_NK, corrupted_NK, test_input_TI, test_truth_TK;
};

// The truth is a random two-layer network with unit variance in each dimension; a person's label is the truth around 2.5 with a little
// noise, rounded to 1..4.
struct Teacher {
  at::Tensor inner_IH, outer_HK;
  at::Tensor truth(const at::Tensor& input) const { return input.mm(inner_IH).tanh().mm(outer_HK); }
};

Setting draw_setting(uint64_t seed) {
  Draws draws(1000 + seed);
  const Teacher teacher{.inner_IH = draws.normal({kInputs, 32}) * (1.5 / std::sqrt(static_cast<double>(kInputs))), .outer_HK = draws.normal({32, kDimensions}) / 4.0};
  Setting setting{.input_NI = draws.normal({kSamples, kInputs}), .label_NK = {}, .corrupted_NK = at::zeros({kSamples, kDimensions}, at::kByte),
                  .test_input_TI = draws.normal({kTest, kInputs}), .test_truth_TK = {}};
  const at::Tensor truth_NK = teacher.truth(setting.input_NI);
  setting.label_NK = (2.5 + 0.9 * truth_NK + 0.3 * draws.normal({kSamples, kDimensions})).round().clamp(1, 4);
  setting.test_truth_TK = teacher.truth(setting.test_input_TI);
  return setting;
}

// A strict annotator gives 1 to a share of the samples, all from those with the best labels; or labels jump to the far end of the scale.
void plant_strict(Setting& setting, uint64_t seed, double share) {
  Draws draws(2000 + seed);
  for (int64_t k = 0; k < kDimensions; ++k) {
    const at::Tensor good = (setting.label_NK.select(1, k) >= 3).nonzero().flatten();
    const at::Tensor chosen = good.index_select(0, draws.permutation(good.size(0)).narrow(0, 0, static_cast<int64_t>(share * kSamples)));
    setting.label_NK.select(1, k).index_fill_(0, chosen, 1);
    setting.corrupted_NK.select(1, k).index_fill_(0, chosen, 1);
  }
}
void plant_far(Setting& setting, uint64_t seed, double share) {
  const auto planted = refine::plant_noise(setting.label_NK, {.kind = refine::NoiseKind::farthest, .share = share, .seed = 3000 + seed});
  setting.label_NK = planted.label_NK.to(at::kDouble);
  setting.corrupted_NK = planted.corrupted_NK;
}

struct Network {
  at::Tensor first_DI, first_D, second_DD, second_D, norm_D, head_KD, head_K;
  std::vector<at::Tensor> parameters() const { return {first_DI, first_D, second_DD, second_D, norm_D, head_KD, head_K}; }
  at::Tensor feature(const at::Tensor& input_BI) const {
    const at::Tensor hidden_BD = at::linear(at::silu(at::linear(input_BI, first_DI, first_D)), second_DD, second_D);
    const at::Tensor active_BD = at::silu(hidden_BD);
    return active_BD * (active_BD.square().mean(1, /*keepdim=*/true) + 1e-6).rsqrt() * norm_D;
  }
  at::Tensor reward(const at::Tensor& feature_BD) const { return at::linear(feature_BD, head_KD, head_K); }
};

Network first_network(uint64_t seed) {
  Draws draws(4000 + seed);
  const auto matrix = [&](int64_t out, int64_t in, double scale) { return (draws.normal({out, in}) * scale).to(at::kFloat); };
  return {.first_DI = matrix(kWidth, kInputs, 1 / std::sqrt(static_cast<double>(kInputs))), .first_D = at::zeros({kWidth}),
          .second_DD = matrix(kWidth, kWidth, 1 / std::sqrt(static_cast<double>(kWidth))), .second_D = at::zeros({kWidth}),
          .norm_D = at::ones({kWidth}), .head_KD = matrix(kDimensions, kWidth, 0.02), .head_K = at::full({kDimensions}, 2.5)};
}

class Adam {
 public:
  Adam(std::vector<at::Tensor> parameters, double learning_rate) : parameters_(std::move(parameters)), learning_rate_(learning_rate) {
    for (const auto& parameter : parameters_) {
      average_.push_back(at::zeros_like(parameter));
      square_.push_back(at::zeros_like(parameter));
      step_.push_back(at::zeros({}));
    }
  }
  void step(std::vector<at::Tensor> gradient) {
    for (auto& count : step_) count += 1;
    at::_fused_adamw_(parameters_, gradient, average_, square_, {}, step_, learning_rate_, 0.9, 0.999, /*weight_decay=*/0, 1e-8, false, false);
  }

 private:
  std::vector<at::Tensor> parameters_, average_, square_, step_;
  double learning_rate_;
};

// The order of an epoch is drawn over all samples, so removing some moves no others.
Network train_network(const Setting& setting, const refine::RefinementPlan& plan, uint64_t seed, int64_t epochs) {
  Network network = first_network(seed);
  Adam adam(network.parameters(), kLearningRate);
  const at::Tensor input_NI = setting.input_NI.to(at::kFloat), weight_NK = plan.weight_NK.to(at::kDouble);
  const at::Tensor keep_N = at::tensor(at::ArrayRef<uint8_t>(plan.keep_N), at::kByte).to(at::kBool);
  Draws draws(5000 + seed);
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    const at::Tensor order = draws.permutation(kSamples), kept = order.masked_select(keep_N.index_select(0, order));
    for (const auto& rows : kept.split(kBatch)) {
      const at::AutoGradMode enabled(true);
      Network leaves = network;
      std::vector<at::Tensor> wanted;
      for (auto* parameter : {&leaves.first_DI, &leaves.first_D, &leaves.second_DD, &leaves.second_D, &leaves.norm_D, &leaves.head_KD, &leaves.head_K}) {
        *parameter = parameter->detach().requires_grad_(true);
        wanted.push_back(*parameter);
      }
      const at::Tensor reward_BK = leaves.reward(leaves.feature(input_NI.index_select(0, rows)));
      const auto loss = train::weighted_loss(reward_BK.detach(), setting.label_NK.index_select(0, rows), weight_NK.index_select(0, rows),
                                             static_cast<double>(rows.size(0) * kDimensions));
      const auto gradient = torch::autograd::grad({reward_BK}, wanted, {loss.gradient_BK});
      const at::NoGradGuard no_grad;
      adam.step(gradient);
    }
  }
  return network;
}

double spearman_of(const Network& network, const Setting& setting) {
  const at::NoGradGuard no_grad;
  return mean_spearman(network.reward(network.feature(setting.test_input_TI.to(at::kFloat))), setting.test_truth_TK);
}

struct Trial {
  std::map<std::string, double> gain;
  double baseline = 0, auroc = 0, scalar_auroc = 0;
};
Trial run_trial(const Setting& setting, uint64_t seed, double alpha_percent, int64_t epochs) {
  const Network baseline = train_network(setting, refine::keep_all(names("s", kSamples), names("d", kDimensions)), seed, epochs);
  const at::Tensor feature_ND = [&] {
    const at::NoGradGuard no_grad;
    return baseline.feature(setting.input_NI.to(at::kFloat));
  }();
  const auto profile = make_profile(baseline.reward(feature_ND), setting.label_NK, feature_ND);
  Trial trial{.gain = {}, .baseline = spearman_of(baseline, setting),
              .auroc = mean_auroc(refine::risk_named("self_influence", profile), setting.corrupted_NK),
              .scalar_auroc = mean_auroc(refine::risk_named("tracin", profile), setting.corrupted_NK)};
  for (const std::string strategy : {"ddp", "ddr", "mask", "tracin", "high_loss", "random"}) {
    const auto plan = refine::refine(profile, {.strategy = strategy, .alpha_percent_K = {alpha_percent}}).first;
    trial.gain[strategy] = spearman_of(train_network(setting, plan, seed, epochs), setting) - trial.baseline;
  }
  return trial;
}

struct Noise {
  const char* name;
  void (*plant)(Setting&, uint64_t, double);
  double share, alpha_percent;
  int64_t epochs;
};

class SharedBackboneExperiment : public ::testing::TestWithParam<Noise> {};

TEST_P(SharedBackboneExperiment, ReweightingAndMaskingGainOnEverySeed) {
  const Noise noise = GetParam();
  Gains gains;
  double baseline = 0, area = 0, scalar_area = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    Setting setting = draw_setting(seed);
    noise.plant(setting, seed, noise.share);
    Trial trial = run_trial(setting, seed, noise.alpha_percent, noise.epochs);
    for (const auto& [arm, gain] : trial.gain) gains.by_arm[arm].push_back(gain);
    baseline += trial.baseline / kSeeds;
    area += trial.auroc / kSeeds;
    scalar_area += trial.scalar_auroc / kSeeds;
    EXPECT_GT(trial.gain["ddr"], 0);
    EXPECT_GT(trial.gain["mask"], 0);
    EXPECT_GT(trial.gain["ddp"], trial.gain["random"]);
  }
  gains.print("experiment B, " + std::string(noise.name) + ", Spearman minus the baseline's " + std::to_string(baseline) + ", AUROC " +
              std::to_string(area) + ", of the scalar " + std::to_string(scalar_area));
}

INSTANTIATE_TEST_SUITE_P(Errors, SharedBackboneExperiment,
                         ::testing::Values(Noise{"strict 6 %", plant_strict, 0.06, 6, 3}, Noise{"far flips 10 %", plant_far, 0.10, 5, 6}),
                         [](const auto& entry) { return entry.index == 0 ? "Strict" : "Far"; });

}  // namespace
