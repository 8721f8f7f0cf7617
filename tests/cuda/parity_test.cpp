// SPDX-License-Identifier: Apache-2.0
// The reference's numbers, computed on a GPU.
#include <gtest/gtest.h>

#include "tests/model/golden_intermediates.h"
#include "tests/parity/golden_training.h"

namespace mvrm {
namespace {

const at::Device kGpu(at::kCUDA, 0);

void compare_all(const char* title, const char* file, at::ScalarType dtype, double tolerance) {
  const model::Named f32 = model::read_named("model_f32.safetensors"), golden = model::read_named(file);
  test::Fidelity fidelity(title, tolerance);
  for (const std::string& name : model::golden_cases()) model::compare_intermediates(golden, f32, dtype, name, fidelity, kGpu);
  EXPECT_GE(fidelity.count(), 15 * static_cast<int64_t>(model::golden_cases().size()));
}

TEST(GpuParity, EveryIntermediateInFloat64) {
  MVRM_NEEDS_GOLDEN("model_f64.safetensors");
  compare_all("GPU, model, float64, relative", "model_f64.safetensors", at::kDouble, 1e-9);
}

TEST(GpuParity, EveryIntermediateInFloat32) {
  MVRM_NEEDS_GOLDEN("model_f32.safetensors");
  compare_all("GPU, model, float32, relative", "model_f32.safetensors", at::kFloat, 2e-5);
}

TEST(GpuParity, ScoresInBfloat16) {
  MVRM_NEEDS_GOLDEN("model_bf16.safetensors");
  const model::Named f32 = model::read_named("model_f32.safetensors"), bf16 = model::read_named("model_bf16.safetensors");
  test::Fidelity fidelity("GPU, forward, bfloat16, absolute", 0.2);
  for (const std::string& name : model::golden_cases()) {
    if (!bf16.contains(name + ".out.scores")) continue;
    const auto model = model::golden_model(at::kBFloat16, name, model::Compatibility::reference, kGpu);
    const auto output = model::forward(model, model::golden_batch(f32, name));
    EXPECT_TRUE(output.reward_BK.is_cuda());
    fidelity.add("scores", (output.reward_BK.cpu() - bf16.at(name + ".out.scores").to(at::kFloat)).abs().max().item<double>(), name);
  }
  EXPECT_GT(fidelity.count(), 0);
}

TEST(GpuParity, ThreeStepsOfAdamWInFloat64) {
  MVRM_NEEDS_GOLDEN("train.safetensors");
  for (const bool recompute : {true, false})
    train::compare_training("full_f64", at::kDouble, {.loss = 1e-8, .norm = 1e-8, .worst = 1e-8, .most = 1e-8}, recompute, kGpu);
}

TEST(GpuParity, ThreeStepsOfAdamWInFloat32) {
  MVRM_NEEDS_GOLDEN("train.safetensors");
  train::compare_training("full_f32", at::kFloat, {.loss = 1e-4, .norm = 1e-3, .worst = 3e-4, .most = 2e-5}, true, kGpu);
}

}  // namespace
}  // namespace mvrm
