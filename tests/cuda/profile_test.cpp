// SPDX-License-Identifier: Apache-2.0
// Scoring and profiling a data set of small pictures on a GPU.
#include <gtest/gtest.h>
#include <mvrm/eval/predictions.h>
#include <mvrm/influence/profile_pass.h>

#include "tests/support/program.h"
#include "tests/support/tiny_dataset.h"

namespace mvrm {
namespace {

double worst(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().nan_to_num(0).max().item<double>(); }

TEST(GpuProfile, RowsAreTheCpusWithAnyNumberOfWorkers) {
  const test::Scratch scratch("gpu_profile");
  model::RewardModel model = test::tiny_model_for_text();
  const auto profile = [&](int64_t threads) {
    data::Dataset dataset(test::tiny_manifest(scratch.path, 23), test::tiny_processor(), {}, core::Context{});
    core::Context context;
    context.threads = threads;
    const auto single = dist::make_single();
    return influence::compute_profile(model, dataset, {.batch = 4, .feature_dtype = at::kFloat, .space = influence::Space::head_mlp}, *single, context);
  };
  const auto cpu = profile(1);
  model::move_to(model, at::Device(at::kCUDA, 0));
  const auto one = profile(1), four = profile(4);
  EXPECT_LT(worst(cpu.prediction_NK, one.prediction_NK), 1e-4);
  EXPECT_LT(worst(cpu.feature_ND, one.feature_ND), 1e-4);
  EXPECT_LT(worst(cpu.prefix_prediction_NFK, one.prefix_prediction_NFK), 1e-4);
  EXPECT_LT(worst(cpu.kernel_NKK, one.kernel_NKK) / cpu.kernel_NKK.abs().max().item<double>(), 1e-4);
  EXPECT_TRUE(at::equal(one.prediction_NK, four.prediction_NK));
  EXPECT_TRUE(at::equal(one.feature_ND, four.feature_ND));

  data::Dataset dataset(test::tiny_manifest(scratch.path, 23), test::tiny_processor(), {}, core::Context{});
  const auto single = dist::make_single();
  EXPECT_TRUE(at::equal(eval::predict(model, dataset, 4, *single, {}).reward_NK, one.prediction_NK));
}

}  // namespace
}  // namespace mvrm
