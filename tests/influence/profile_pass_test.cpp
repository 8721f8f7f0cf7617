// SPDX-License-Identifier: Apache-2.0
// The pass over a data set: what a row holds, threads, ranks, resuming.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/influence/estimator.h>
#include <mvrm/influence/profile_pass.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <thread>

#include "tests/support/lost_peer.h"
#include "tests/support/program.h"
#include "tests/support/tiny_dataset.h"

namespace {

using namespace mvrm;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

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
    context.log = context.log.with_file(scratch_.path / "log.txt");
    const auto single = dist::make_single();
    return influence::compute_profile(model_, dataset, {.batch = batch, .feature_dtype = at::kFloat, .model_dir = model_dir()}, *single, context, directory);
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
    EXPECT_TRUE(at::equal(bits(a.prefix_prediction_NFK), bits(b.prefix_prediction_NFK)));
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

TEST_F(ProfilePass, ThreadsDoNotMatter) {
  const auto one = compute(*open(), 4, 1);
  expect_same(compute(*open(), 4, 3), one);
}

// In float64, so that what is left of a residual that nearly vanishes is not the rounding of the rewards.
TEST_F(ProfilePass, BatchesAndTheOrderOfTheDataDoNotMatter) {
  model_ = test::tiny_model_for_text(at::kDouble);
  const auto one = compute(*open(), 4);
  const auto expect_close = [&](const influence::Profile& other, bool reversed) {
    for (const auto table : {&influence::Profile::self_influence_NK, &influence::Profile::residual_NK, &influence::Profile::prediction_NK,
                             &influence::Profile::feature_sq_norm_N, &influence::Profile::feature_ND, &influence::Profile::prefix_prediction_NFK}) {
      const at::Tensor found = reversed ? (other.*table).flip(0) : other.*table;
      EXPECT_TRUE(at::allclose(found, one.*table, 1e-6, 0, /*equal_nan=*/true)) << (found - one.*table).abs().nan_to_num(0).max();
    }
  };
  for (const int64_t batch : {1, 3, 11}) expect_close(compute(*open(), batch), false);
  data::Manifest reversed = test::tiny_manifest(scratch_.path, 11);
  std::reverse(reversed.samples.begin(), reversed.samples.end());
  data::Dataset dataset(std::move(reversed), test::tiny_processor(), {}, {});
  expect_close(compute(dataset, 4), true);
}

TEST_F(ProfilePass, SeveralRanksGiveTheRowsOfOneBitForBit) {
  const auto one = compute(*open(), 2);
  model_dir();
  for (const size_t size : {2U, 3U}) {
    auto ranks = dist::make_thread_ranks(static_cast<int64_t>(size));
    std::vector<influence::Profile> profiles(size);
    const auto work = [&](size_t r) {
      profiles[r] = influence::compute_profile(model_, *open(), {.batch = 2, .feature_dtype = at::kFloat, .model_dir = model_dir()}, *ranks[r], {},
                                               scratch_.path / ("ranks" + std::to_string(size)));
    };
    std::vector<std::thread> others;
    for (size_t r = 1; r < size; ++r) others.emplace_back(work, r);
    work(0);
    for (auto& other : others) other.join();
    for (const auto& profile : profiles) expect_same(profile, one);
  }
}

// By causality the reward behind frame f is that of the clip cut there: the oracle really cuts the clip and runs the model again.
TEST_F(ProfilePass, PrefixRewardsAreTheRewardsOfShorterClips) {
  const auto profile = compute(*open(), 4);
  ASSERT_EQ(profile.prefix_prediction_NFK.sizes(), (std::vector<int64_t>{11, 2, 2}));
  data::Manifest cut = test::tiny_manifest(scratch_.path, 11);
  for (auto& sample : cut.samples) sample.images.resize(1);
  cut.hash = "cut";
  data::Dataset dataset(std::move(cut), test::tiny_processor(), {}, {});
  const auto shorter = compute(dataset, 1);
  for (int64_t n = 0; n < 11; ++n) {
    const bool two_frames = n % 2 == 1;
    const at::Tensor first = profile.prefix_prediction_NFK[n][0], second = profile.prefix_prediction_NFK[n][1];
    EXPECT_TRUE(at::allclose(first, shorter.prediction_NK[n], 1e-5, 1e-5)) << n;
    if (two_frames) {
      EXPECT_TRUE(at::allclose(second, profile.prediction_NK[n], 1e-5, 1e-5)) << n;
      EXPECT_FALSE(at::allclose(first, second, 1e-3, 1e-3)) << n << ": a second frame must matter";
    } else {
      EXPECT_TRUE(second.isnan().all().item<bool>()) << n;
    }
  }
}

TEST_F(ProfilePass, EndsBetweenChunksWhereAPeerIsLost) {
  EXPECT_TRUE(test::stops_where_a_peer_is_lost(3, [&](dist::Communicator& comm) { influence::compute_profile(model_, *open(), {.batch = 2}, comm, {}); }));
}

TEST_F(ProfilePass, FramesInsideTheTextHaveNoPrefixRewards) {
  data::Manifest manifest = test::tiny_manifest(scratch_.path, 2);
  for (auto& sample : manifest.samples) sample.prompt = "<image> a dog";
  data::Dataset dataset(std::move(manifest), test::tiny_processor(), {}, {});
  const at::Tensor prefix_NFK = compute(dataset, 1).prefix_prediction_NFK;
  EXPECT_TRUE(prefix_NFK[1].isnan().all().item<bool>());
  EXPECT_TRUE(prefix_NFK[0][0].isfinite().all().item<bool>()) << "the only frame: the whole clip";
}

TEST_F(ProfilePass, KeepsGradientProductsWhenAsked) {
  const auto dataset = open();
  const auto single = dist::make_single();
  const auto profile = influence::compute_profile(model_, *dataset, {.batch = 4, .feature_dtype = at::kFloat, .space = influence::Space::head_mlp}, *single, {});
  EXPECT_EQ(profile.space, "head+mlp");
  const auto plain = compute(*open(), 4);
  EXPECT_TRUE(at::equal(plain.prediction_NK, profile.prediction_NK));
  const influence::LastLayer layer = influence::last_layer(model_);
  for (int64_t n = 0; n < 11; ++n) {   // one clip after the other, against the rows of the batches
    const auto batch = data::collate({dataset->get(n)}, dataset->processor().image_config, model_.config.pad_token_id.value_or(0));
    const auto output = model::forward(model_, model::prepare(model_.config, batch, model_.dtype), {.keep_skip = true});
    const at::Tensor expected_KK = influence::self_matrix(influence::Space::head_mlp, layer, {at::ones({1, 2}, at::kDouble), output.skip_BD})[0];
    EXPECT_TRUE(at::allclose(profile.kernel_NKK[n].to(at::kDouble), expected_KK.to(at::kDouble), 1e-4, 1e-5)) << n << profile.kernel_NKK[n] << expected_KK;
  }
  const at::Tensor sums_NK = influence::estimate("row_sum", {.profile = &profile});
  const double r0 = profile.residual_NK[0][0].item<double>(), r1 = profile.residual_NK[0][1].item<double>();
  const double expected = r0 * (r0 * profile.kernel_NKK[0][0][0].item<double>() + r1 * profile.kernel_NKK[0][0][1].item<double>());
  EXPECT_NEAR(sums_NK[0][0].item<double>(), expected, 1e-9 * std::abs(expected));
}

TEST_F(ProfilePass, SmallerFeaturesSurviveTheFile) {
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
    const auto dataset = open();
    const auto single = dist::make_single();
    const auto directory = scratch_.path / c10::toString(dtype);
    const auto written = influence::compute_profile(model_, *dataset, {.feature_dtype = dtype, .model_dir = model_dir()}, *single, {}, directory);
    influence::write_profile(directory, written);
    const auto read = influence::read_profile(directory);
    ASSERT_EQ(read.feature_ND.scalar_type(), dtype);
    EXPECT_TRUE(at::equal(read.feature_ND, written.feature_ND));
    EXPECT_TRUE(at::allclose(read.feature_ND.to(at::kFloat), compute(*open(), 8).feature_ND, 1e-2, 1e-2));
  }
}

// A kill while the flags of a chunk are written leaves some of its samples undone: the chunk is computed as before, not in another company.
TEST_F(ProfilePass, AChunkCutInTheMiddleComesBackBitForBit) {
  const auto directory = scratch_.path / "profile";
  const auto whole = compute(*open(), 4, 1, directory);
  auto cut = whole;
  cut.done_N = whole.done_N.clone();
  cut.prediction_NK = whole.prediction_NK.clone();
  for (const int64_t n : {1, 2, 5, 10}) {
    cut.done_N[n] = 0;
    cut.prediction_NK[n].fill_(77);
  }
  influence::write_profile(directory, cut);
  expect_same(compute(*open(), 4, 2, directory), whole);
}

TEST_F(ProfilePass, LabelsAndHeadAreReplacedWithoutTheModel) {
  auto profile = compute(*open(), 4);
  const auto whole = profile;
  at::Tensor label_NK = profile.label_NK.clone();
  label_NK[0][0] = 2.5;
  influence::set_labels(profile, label_NK);
  EXPECT_FLOAT_EQ(profile.residual_NK[0][0].item<float>(), whole.prediction_NK[0][0].item<float>() - 2.5f);
  influence::set_labels(profile, whole.label_NK);
  expect_same(profile, whole);
  const auto& head = model_.parameters.back();
  influence::set_head(profile, head[1], head[2]);
  EXPECT_TRUE(at::allclose(profile.prediction_NK, whole.prediction_NK, 1e-5, 1e-5));
  influence::set_head(profile, 2 * head[1], head[2]);
  EXPECT_TRUE(at::allclose(profile.prediction_NK - head[2], 2 * (whole.prediction_NK - head[2]), 1e-4, 1e-4));
  EXPECT_FALSE(profile.prefix_prediction_NFK.defined());
  EXPECT_THROW(influence::set_head(profile, head[1].narrow(1, 0, 3), head[2]), core::Error);
  profile.feature_ND = at::Tensor();
  EXPECT_THROW(influence::set_head(profile, head[1], head[2]), core::DataError);
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
