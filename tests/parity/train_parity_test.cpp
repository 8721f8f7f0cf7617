// SPDX-License-Identifier: Apache-2.0
// Three AdamW steps through the program's own engine and optimiser against torch.optim.AdamW: losses, gradient norms, parameters.
#include <gtest/gtest.h>

#include "tests/parity/golden_training.h"

namespace mvrm::train {
namespace {

TEST(TrainParity, ThreeStepsInFloat64) {
  MVRM_NEEDS_GOLDEN("train.safetensors");
  compare_training("full_f64", at::kDouble, {.loss = 1e-8, .norm = 1e-8, .worst = 1e-8, .most = 1e-8});
  compare_training("full_f64", at::kDouble, {.loss = 1e-8, .norm = 1e-8, .worst = 1e-8, .most = 1e-8}, /*recompute=*/false);
}

TEST(TrainParity, ThreeStepsInFloat32) {
  MVRM_NEEDS_GOLDEN("train.safetensors");
  compare_training("full_f32", at::kFloat, {.loss = 1e-4, .norm = 1e-3, .worst = 3e-4, .most = 2e-5});
}

TEST(TrainParity, ThreeStepsOfTheHeadAlone) {
  MVRM_NEEDS_GOLDEN("train.safetensors");
  compare_training("head_f32", at::kFloat, {.loss = 1e-5, .norm = 1e-5, .worst = 1e-5, .most = 1e-5});
}

}  // namespace
}  // namespace mvrm::train
