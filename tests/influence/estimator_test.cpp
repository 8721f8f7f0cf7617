// SPDX-License-Identifier: Apache-2.0
// Closed forms by hand and against autograd, and the pass over a data set: threads, ranks, resuming.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/influence/estimator.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <thread>

#include "tests/support/program.h"
#include "tests/support/tiny_dataset.h"

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

class ProfilePass : public ::testing::Test {
 protected:
  std::unique_ptr<data::Dataset> open(const std::string& hash = "one", int64_t broken = -1) {
    data::Manifest manifest = test::tiny_manifest(scratch_.path, 11, broken);
    manifest.hash = hash;
    return std::make_unique<data::Dataset>(std::move(manifest), test::tiny_processor(), data::DatasetConfig{.max_bad_samples = 2}, core::Context{});
  }
  influence::Profile compute(data::Dataset& dataset, int64_t batch, int64_t threads = 1, const std::filesystem::path& directory = {}) {
    core::Context context;
    context.threads = threads;
    context.log.add_file(scratch_.path / "log.txt");
    const auto single = dist::make_single();
    return influence::compute_profile(model_, dataset, {.batch = batch, .keep_features = true, .model_dir = model_dir()}, *single, context, directory);
  }
  const std::filesystem::path& model_dir() {
    if (!std::filesystem::exists(model_dir_ / "config.json")) model::save_reward_model(model_dir_, model_, {});
    return model_dir_;
  }
  static void expect_same(const influence::Profile& a, const influence::Profile& b) {
    EXPECT_EQ(a.ids, b.ids);
    const auto bits = [](const at::Tensor& x) { return x.view(at::kInt); };
    EXPECT_TRUE(at::equal(bits(a.self_influence_NK), bits(b.self_influence_NK)));
    EXPECT_TRUE(at::equal(bits(a.residual_NK), bits(b.residual_NK)));
    EXPECT_TRUE(at::equal(bits(a.label_NK), bits(b.label_NK)));
    EXPECT_TRUE(at::equal(bits(a.feature_sq_norm_N), bits(b.feature_sq_norm_N)));
    EXPECT_TRUE(at::equal(bits(a.feature_ND), bits(b.feature_ND)));
    EXPECT_TRUE(at::equal(a.done_N, b.done_N));
  }

  test::Scratch scratch_{"profile_pass"};
  std::filesystem::path model_dir_ = scratch_.path / "model";
  model::RewardModel model_ = test::tiny_model_for_text();
};

TEST_F(ProfilePass, RowsAreWhatTheModelSays) {
  const auto profile = compute(*open(), 4);
  EXPECT_EQ(profile.ids.front(), "s0");
  EXPECT_EQ(profile.done_N.sum().item<int64_t>(), 11);
  EXPECT_TRUE(profile.residual_NK[4][1].isnan().item<bool>());   // no label
  EXPECT_FALSE(profile.prediction_NK[4][1].isnan().item<bool>());
  const auto& head = model_.parameters.back();
  EXPECT_TRUE(at::allclose(profile.prediction_NK, at::linear(profile.feature_ND, head[1], head[2]), 1e-5, 1e-6));
  EXPECT_TRUE(at::equal(profile.residual_NK.nan_to_num(7), (profile.prediction_NK - profile.label_NK).nan_to_num(7)));
  EXPECT_TRUE(at::allclose(profile.feature_sq_norm_N, profile.feature_ND.square().sum(1)));
  EXPECT_TRUE(at::allclose(profile.self_influence_NK, profile.residual_NK.square() * profile.feature_sq_norm_N.unsqueeze(1), 1e-6, 0, true));
}

TEST_F(ProfilePass, ThreadsDoNotMatterAndBatchesHardlyDo) {
  const auto one = compute(*open(), 4, 1);
  expect_same(compute(*open(), 4, 3), one);
  const auto small = compute(*open(), 1);
  EXPECT_TRUE(at::allclose(small.self_influence_NK, one.self_influence_NK, 1e-3, 1e-4, true));
}

TEST_F(ProfilePass, TwoRanksGiveTheRowsOfOne) {
  const auto one = compute(*open(), 1);
  auto ranks = dist::make_thread_ranks(2);
  std::vector<influence::Profile> profiles(2);
  const auto work = [&](size_t r) {
    profiles[r] = influence::compute_profile(model_, *open(), {.batch = 1, .keep_features = true, .model_dir = model_dir()}, *ranks[r], {},
                                             scratch_.path / "ranks");
  };
  model_dir();
  std::thread other(work, 1);
  work(0);
  other.join();
  for (const auto& profile : profiles) expect_same(profile, one);
}

TEST_F(ProfilePass, BadSamplesAreLeftOut) {
  std::filesystem::remove(scratch_.path / "s3_0.png");
  const auto dataset = open("one", 3);
  const auto profile = compute(*dataset, 4);
  EXPECT_EQ(profile.done_N[3].item<int64_t>(), 0);
  EXPECT_TRUE(profile.self_influence_NK[3].isnan().all().item<bool>());
  EXPECT_EQ(profile.done_N.sum().item<int64_t>(), 10);
}

// Samples 6 to 10 cannot be read at first: the run stops, keeps what it has, and a later run computes only the rest.
TEST_F(ProfilePass, ResumesRowsThatAreDone) {
  const auto directory = scratch_.path / "profile";
  const auto whole = compute(*open(), 1);
  {
    const auto dataset = open();
    for (int64_t n = 6; n < 11; ++n) std::filesystem::remove(scratch_.path / ("s" + std::to_string(n) + "_0.png"));
    EXPECT_THROW(compute(*dataset, 1, 1, directory), core::DataError);
  }
  EXPECT_THROW(influence::read_profile(directory), core::DataError);   // not finished
  const auto dataset = open();
  for (int64_t n = 0; n < 6; ++n) std::filesystem::remove(scratch_.path / ("s" + std::to_string(n) + "_0.png"));   // must not be read again
  expect_same(compute(*dataset, 1, 1, directory), whole);
  EXPECT_NE(test::slurp(scratch_.path / "log.txt").find("6 samples are done already"), std::string::npos);
}

TEST_F(ProfilePass, StartsAnewForOtherDataOrAnotherModel) {
  const auto directory = scratch_.path / "profile";
  auto profile = compute(*open(), 1, 1, directory);
  influence::write_profile(directory, profile);
  compute(*open("another"), 1, 1, directory);
  EXPECT_NE(test::slurp(scratch_.path / "log.txt").find("profiling anew"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(directory / "samples.jsonl"));
  EXPECT_EQ(test::slurp(scratch_.path / "log.txt").find("done already"), std::string::npos);
}

TEST_F(ProfilePass, OutputThatIsNotANumberIsAnError) {
  model_.parameters.back()[2].fill_(kNan);
  try {
    compute(*open(), 4);
    FAIL() << "accepted";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.status(), core::ExitStatus::numeric);
    EXPECT_NE(std::string(error.what()).find("sample 's0'"), std::string::npos) << error.what();
  }
}

TEST_F(ProfilePass, RefusesLabelsOfOtherDimensions) {
  data::Manifest manifest = test::tiny_manifest(scratch_.path, 2);
  manifest.dimensions[1] = "sharpness";
  data::Dataset dataset(std::move(manifest), test::tiny_processor(), {}, {});
  EXPECT_THROW(compute(dataset, 1), core::DataError);
}

}  // namespace
