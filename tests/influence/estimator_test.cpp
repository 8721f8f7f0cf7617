// SPDX-License-Identifier: Apache-2.0
// Closed forms by hand and against autograd, and the table of estimators.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/influence/estimator.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>
#include <tuple>

#include "tests/influence/random_table.h"

namespace {

using namespace mvrm;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(ClosedForm, IsTheSquaredResidualTimesTheSquaredNorm) {
  const at::Tensor residual_NK = at::tensor({2.0, -0.5, kNan, 3.0}, at::kDouble).view({2, 2});
  const at::Tensor norm_N = at::tensor({10.0, 4.0}, at::kDouble);
  const at::Tensor risk_NK = influence::closed_form(residual_NK, norm_N);
  EXPECT_EQ(risk_NK[0][0].item<double>(), 40);
  EXPECT_EQ(risk_NK[0][1].item<double>(), 2.5);
  EXPECT_TRUE(std::isnan(risk_NK[1][0].item<double>()));
  EXPECT_EQ(risk_NK[1][1].item<double>(), 36);
  EXPECT_EQ(influence::closed_form(residual_NK, norm_N, true)[0][0].item<double>(), 44);
  EXPECT_EQ(influence::tracin_scalar(risk_NK)[0].item<double>(), 42.5);
  EXPECT_EQ(influence::tracin_scalar(risk_NK)[1].item<double>(), 36);   // the missing label adds nothing
}

// Paper Eq. 21-22: the squared norm of the gradient of half the squared residual with respect to row k of the head (and its bias).
TEST(ClosedForm, IsTheSquaredGradientOfTheHead) {
  constexpr int64_t kSamples = 4, kDimensions = 3, kWidth = 6;
  const auto draw = [](at::IntArrayRef shape, uint64_t stream) {
    core::CounterRng rng(1, stream);
    at::Tensor values = at::empty(shape, at::kDouble);
    for (int64_t i = 0; i < values.numel(); ++i) values.mutable_data_ptr<double>()[i] = rng.normal();
    return values;
  };
  const at::Tensor feature_ND = draw({kSamples, kWidth}, 1), label_NK = draw({kSamples, kDimensions}, 2);
  const at::Tensor weight_KD = draw({kDimensions, kWidth}, 3).requires_grad_(true), bias_K = draw({kDimensions}, 4).requires_grad_(true);
  const at::Tensor residual_NK = at::linear(feature_ND, weight_KD, bias_K) - label_NK;
  const at::Tensor norm_N = feature_ND.square().sum(1);
  const at::Tensor risk_NK = influence::closed_form(residual_NK.detach(), norm_N), with_bias_NK = influence::closed_form(residual_NK.detach(), norm_N, true);
  for (int64_t n = 0; n < kSamples; ++n) {
    for (int64_t k = 0; k < kDimensions; ++k) {
      const auto gradient = torch::autograd::grad({0.5 * residual_NK[n][k].square()}, {weight_KD, bias_K}, {}, true);
      const double weight_part = gradient[0].square().sum().item<double>(), bias_part = gradient[1].square().sum().item<double>();
      EXPECT_NEAR(risk_NK[n][k].item<double>(), weight_part, 1e-12 * weight_part);
      EXPECT_NEAR(with_bias_NK[n][k].item<double>(), weight_part + bias_part, 1e-12 * (weight_part + bias_part));
    }
    // The scalar is the squared gradient of the summed loss: at the head, dimensions have no parameter in common.
    const auto gradient = torch::autograd::grad({0.5 * residual_NK[n].square().sum()}, {weight_KD}, {}, true);
    EXPECT_NEAR(influence::tracin_scalar(risk_NK)[n].item<double>(), gradient[0].square().sum().item<double>(), 1e-10);
  }
}

TEST(ClosedForm, ScaleLaws) {
  const at::Tensor residual_NK = at::tensor({1.0, -2.0, 0.25, 3.0}, at::kDouble).view({2, 2}), norm_N = at::tensor({2.0, 5.0}, at::kDouble);
  const at::Tensor risk_NK = influence::closed_form(residual_NK, norm_N);
  EXPECT_TRUE(at::equal(influence::closed_form(residual_NK, 9 * norm_N), 9 * risk_NK));    // h -> 3 h
  EXPECT_TRUE(at::equal(influence::closed_form(4 * residual_NK, norm_N), 16 * risk_NK));   // r -> 4 r
  EXPECT_TRUE(at::equal(influence::closed_form(residual_NK.flip(0), norm_N.flip(0)), risk_NK.flip(0)));
  EXPECT_TRUE(at::equal(influence::closed_form(residual_NK.flip(1), norm_N), risk_NK.flip(1)));
  EXPECT_THROW(influence::closed_form(residual_NK, norm_N.slice(0, 1)), core::Error);
}

// Hand-worked: two checkpoints, residuals 2 and 1 with |h|^2 = 3 and 5, learning rates 0.5 and 2.
influence::Profile one_cell(float residual, float norm) {
  influence::Profile profile{.ids = {"a"}, .prompts = {""}, .dimensions = {"quality"}};
  profile.residual_NK = at::tensor({residual}).view({1, 1});
  profile.label_NK = at::tensor({1.0f}).view({1, 1});
  profile.prediction_NK = profile.residual_NK + 1;
  profile.feature_sq_norm_N = at::tensor({norm});
  profile.done_N = at::ones({1}, at::kByte);
  profile.data_hash = "data";
  return profile;
}

TEST(Tracin, SumsCheckpointsWeightedByTheirLearningRate) {
  const auto first = one_cell(2, 3), second = one_cell(1, 5);
  EXPECT_EQ(influence::tracin({{&first, 0.5}, {&second, 2}})[0][0].item<double>(), 0.5 * 12 + 2 * 5);
  EXPECT_EQ(influence::tracin({{&first}})[0][0].item<double>(), 12);
  auto other = second;
  other.data_hash = "other data";
  EXPECT_THROW(influence::tracin({{&first}, {&other}}), core::DataError);
  EXPECT_THROW(influence::tracin({{&first, 0}}), core::ConfigError);
  EXPECT_THROW(influence::tracin({}), core::ConfigError);
}

// A profile of 40 samples with features, a head and one missing label.
struct Small {
  at::Tensor weight_KD = test::normal_table({3, 6}, 3), bias_K = test::normal_table({3}, 4);
  influence::Profile profile;
  Small() {
    profile.dimensions = {"a", "b", "c"};
    for (int n = 0; n < 40; ++n) profile.ids.push_back(std::to_string(n));
    profile.prompts.resize(40);
    profile.feature_ND = test::normal_table({40, 6}, 1).to(at::kFloat);
    profile.prediction_NK = at::linear(profile.feature_ND, weight_KD.to(at::kFloat), bias_K.to(at::kFloat));
    profile.label_NK = profile.prediction_NK + test::normal_table({40, 3}, 2).to(at::kFloat);
    profile.label_NK[7][1] = kNan;
    profile.residual_NK = profile.prediction_NK - profile.label_NK;
    profile.feature_sq_norm_N = profile.feature_ND.square().sum(1);
    profile.self_influence_NK = influence::closed_form(profile.residual_NK, profile.feature_sq_norm_N).to(at::kFloat);
    profile.done_N = at::ones({40}, at::kByte);
  }
  influence::EstimatorInput input() const { return {.profile = &profile, .checkpoints = {}, .weight_KD = weight_KD, .bias_K = bias_K}; }
};

TEST(Estimators, AutogradAgreesWithTheClosedFormTo1e10) {
  const at::Tensor feature_ND = test::normal_table({20, 6}, 1), label_NK = test::normal_table({20, 3}, 2), weight_KD = test::normal_table({3, 6}, 3),
                   bias_K = test::normal_table({3}, 4);
  const at::Tensor residual_NK = at::linear(feature_ND, weight_KD, bias_K) - label_NK, norm_N = feature_ND.square().sum(1);
  for (const bool with_bias : {false, true}) {
    const at::Tensor expected = influence::autograd_influence(feature_ND, label_NK, weight_KD, bias_K, with_bias);
    EXPECT_TRUE(at::allclose(influence::closed_form(residual_NK, norm_N, with_bias), expected, 1e-10, 0));
  }
}

TEST(Estimators, EveryOneGivesARiskPerLabelAndLeavesMissingOnesOut) {
  Small small;
  small.profile.kernel_NKK = at::diag_embed(small.profile.feature_sq_norm_N.unsqueeze(1).expand({40, 3}));   // head only
  small.profile.running_loss_NK = small.profile.residual_NK.square() + 1;
  small.profile.space = "head";
  for (const auto& entry : influence::estimators()) {
    const at::Tensor risk_NK = influence::estimate(entry.name, small.input());
    ASSERT_EQ(risk_NK.sizes(), (std::vector<int64_t>{40, 3})) << entry.name;
    EXPECT_EQ(risk_NK.scalar_type(), at::kDouble) << entry.name;
    if (std::string(entry.name) != "vbll") {
      EXPECT_TRUE(risk_NK[7][1].isnan().item<bool>()) << entry.name;
    }
    EXPECT_GE(risk_NK.isfinite().sum().item<int64_t>(), 119) << entry.name;
  }
  EXPECT_TRUE(at::allclose(influence::estimate("row_sum", small.input()), influence::estimate("closed_form", small.input()), 1e-6, 0, true))
      << "in the head's space the matrix is diagonal";
  EXPECT_TRUE(at::allclose(influence::estimate("autograd", small.input()), influence::estimate("closed_form", small.input()), 1e-4, 1e-6, true));
}

TEST(Estimators, TheOrderOfSamplesOnlyMovesTheResults) {
  Small small;
  small.profile.kernel_NKK = at::diag_embed(small.profile.feature_sq_norm_N.unsqueeze(1).expand({40, 3}));
  small.profile.running_loss_NK = small.profile.residual_NK.square() + 1;
  small.profile.space = "head";
  const at::Tensor order_N = at::arange(39, -1, -1, at::kLong);
  Small turned = small;
  for (at::Tensor influence::Profile::*table : {&influence::Profile::residual_NK, &influence::Profile::prediction_NK, &influence::Profile::label_NK,
                                                &influence::Profile::feature_sq_norm_N, &influence::Profile::feature_ND, &influence::Profile::kernel_NKK,
                                                &influence::Profile::running_loss_NK}) {
    turned.profile.*table = (small.profile.*table).index_select(0, order_N);
  }
  for (const auto& entry : influence::estimators()) {
    const at::Tensor expected_NK = influence::estimate(entry.name, small.input()).index_select(0, order_N);
    EXPECT_TRUE(at::allclose(influence::estimate(entry.name, turned.input()), expected_NK, 1e-6, 0, true)) << entry.name;
  }
}

TEST(Estimators, SayWhatTheyNeed) {
  Small small;
  small.profile.feature_ND = at::Tensor();
  const auto refusal = [&](const char* name, influence::EstimatorInput input) {
    try {
      influence::estimate(name, input);
    } catch (const core::Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_NE(refusal("ridge_inverse", small.input()).find("--features"), std::string::npos);
  EXPECT_NE(refusal("vbll", small.input()).find("--features"), std::string::npos);
  EXPECT_NE(refusal("row_sum", small.input()).find("--space"), std::string::npos);
  EXPECT_NE(refusal("online_relative", small.input()).find("train.collect_influence"), std::string::npos);
  EXPECT_NE(refusal("autograd", {.profile = &small.profile}).find("--head"), std::string::npos);
  EXPECT_NE(refusal("magic", small.input()).find("closed_form, closed_form_bias"), std::string::npos);
}

TEST(HeadPass, IsTheClosedFormOfTheFeatures) {
  for (const auto& [rows, width, outputs] : {std::tuple<int64_t, int64_t, int64_t>{33, 4096, 5}, {7, 67, 3}, {1, 8, 1}, {10, 1500, 11}, {0, 4, 2}}) {
    const at::Tensor feature_ND = test::normal_table({rows, width}, 1).to(at::kFloat), label_NK = test::normal_table({rows, outputs}, 2).to(at::kFloat);
    const at::Tensor weight_KD = test::normal_table({outputs, width}, 3).to(at::kFloat), bias_K = test::normal_table({outputs}, 4).to(at::kFloat);
    const at::Tensor wide_ND = feature_ND.to(at::kDouble), norm_N = wide_ND.square().sum(1);
    const at::Tensor prediction_NK = at::linear(wide_ND, weight_KD.to(at::kDouble), bias_K.to(at::kDouble));
    for (const int64_t threads : {1, 3}) {
      const auto pass = influence::head_pass(feature_ND, label_NK, weight_KD, bias_K, threads);
      EXPECT_TRUE(at::allclose(pass.feature_sq_norm_N.to(at::kDouble), norm_N, 1e-6, 0)) << width;
      EXPECT_TRUE(at::allclose(pass.prediction_NK.to(at::kDouble), prediction_NK, 1e-6, 1e-5 * std::sqrt(static_cast<double>(width)))) << width;
      const at::Tensor risk_NK = influence::closed_form(pass.prediction_NK - label_NK, pass.feature_sq_norm_N);
      EXPECT_TRUE(at::allclose(pass.self_influence_NK.to(at::kDouble), risk_NK, 1e-6, 0));
    }
  }
}

}  // namespace
