// SPDX-License-Identifier: Apache-2.0
// Every number of the forward and backward pass against the reference implementation, by name; the worst error of each group is printed.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "tests/model/golden_intermediates.h"
#include "tests/support/fidelity.h"

namespace mvrm::model {
namespace {

TEST(Parity, EveryIntermediateInFloat64) {
  MVRM_NEEDS_GOLDEN("model_f64.safetensors");
  const Named f32 = read_named("model_f32.safetensors"), f64 = read_named("model_f64.safetensors");
  test::Fidelity fidelity("model, float64, relative", 1e-9);
  for (const std::string& name : golden_cases()) compare_intermediates(f64, f32, at::kDouble, name, fidelity);
  EXPECT_GE(fidelity.count(), 15 * static_cast<int64_t>(golden_cases().size()));
}

TEST(Parity, EveryIntermediateInFloat32) {
  MVRM_NEEDS_GOLDEN("model_f32.safetensors");
  const Named f32 = read_named("model_f32.safetensors");
  test::Fidelity fidelity("model, float32, relative", 2e-5);
  for (const std::string& name : golden_cases()) compare_intermediates(f32, f32, at::kFloat, name, fidelity);
  EXPECT_GE(fidelity.count(), 15 * static_cast<int64_t>(golden_cases().size()));
}

TEST(Parity, MasksPositionsAndPoolingAreEqual) {
  MVRM_NEEDS_GOLDEN("model_f32.safetensors");
  const Named f32 = read_named("model_f32.safetensors");
  test::Fidelity fidelity("model, masks, position ids, pooled positions", 0);
  for (const std::string& name : golden_cases()) {
    const data::Batch batch = golden_batch(f32, name);
    Named got = trace(golden_model(at::kFloat, name), batch);
    for (const char* key : {"patch_attention_mask", "vision_position_ids", "pool_index"}) {
      const at::Tensor want = f32.at(name + ".out." + key);
      fidelity.add(key, at::equal(got.at(key), want.reshape(got.at(key).sizes())) ? 0 : 1, name);
    }
    const int64_t real = f32.at(name + ".out.real_image").sum().item<int64_t>();
    fidelity.add("real_image", std::abs(static_cast<double>(real - batch.pixels_RCHW.size(0))), name);
  }
}

// As users call it, with the fused attention and the head at the pooled position only.
TEST(Parity, ScoresInFloat32) {
  MVRM_NEEDS_GOLDEN("model_f32.safetensors");
  const Named f32 = read_named("model_f32.safetensors");
  test::Fidelity fidelity("forward, float32, absolute", 1e-4);
  for (const std::string& name : golden_cases()) {
    const RewardOutput output = forward(golden_model(at::kFloat, name), golden_batch(f32, name));
    fidelity.add("scores", (output.reward_BK - f32.at(name + ".out.scores")).abs().max().item<double>(), name);
    EXPECT_LT(worst_error(output.feature_BD, f32.at(name + ".out.pooled"), true), 2e-5) << name;
  }
}

TEST(Parity, ScoresInBfloat16) {
  MVRM_NEEDS_GOLDEN("model_bf16.safetensors");
  const Named f32 = read_named("model_f32.safetensors"), bf16 = read_named("model_bf16.safetensors");
  test::Fidelity fidelity("forward, bfloat16, absolute", 0.2);
  for (const std::string& name : golden_cases()) {
    if (!bf16.contains(name + ".out.scores")) continue;
    const RewardOutput output = forward(golden_model(at::kBFloat16, name), golden_batch(f32, name));
    EXPECT_EQ(output.reward_BK.scalar_type(), at::kFloat);
    EXPECT_EQ(output.feature_BD.scalar_type(), at::kBFloat16);
    fidelity.add("scores", (output.reward_BK - bf16.at(name + ".out.scores").to(at::kFloat)).abs().max().item<double>(), name);
  }
  EXPECT_GT(fidelity.count(), 0);
}

// Gradients of the mean squared error with respect to every parameter.
Named gradients(RewardModel model, const data::Batch& batch) {
  std::vector<std::string> names;
  torch::autograd::variable_list leaves;
  for (size_t u = 0; u < model.units.size(); ++u)
    for (size_t i = 0; i < model.units[u].parameters.size(); ++i) {
      names.push_back(model.units[u].parameters[i].name);
      leaves.push_back(model.parameters[u][i].requires_grad_());
    }
  const auto found = torch::autograd::grad({trace(model, batch).at("loss")}, leaves);
  Named named;
  for (size_t i = 0; i < names.size(); ++i) named[names[i]] = found[i];
  return named;
}

std::string module_of(const std::string& name) {
  for (const char* part : {"vision_model", "modality_projection", "perceiver_resampler", "embed_tokens", "text_model"})
    if (name.find(part) != std::string::npos) return part;
  return "score";
}

// Returns how many `<case>.out.grad.*` the file holds.
int64_t compare_gradients(const Named& got, const Named& golden, const std::string& case_name, test::Fidelity& fidelity) {
  const Named wanted = starting_with(golden, case_name + ".out.grad.");
  for (const auto& [name, want] : wanted)
    if (!is_noise(name)) fidelity.add(module_of(name), worst_error(got.at(name), want, false), case_name + " " + name);
  return static_cast<int64_t>(wanted.size());
}

TEST(Parity, GradientsInFloat64) {
  MVRM_NEEDS_GOLDEN("model_f64.safetensors");
  const Named f32 = read_named("model_f32.safetensors"), f64 = read_named("model_f64.safetensors");
  test::Fidelity fidelity("gradients, float64, relative", 1e-9);
  for (const std::string& name : golden_cases()) {
    if (!f64.contains(name + ".out.grad.score.weight")) continue;   // the committed set holds c2_batch alone
    compare_gradients(gradients(golden_model(at::kDouble, name), golden_batch(f32, name)), f64, name, fidelity);
  }
  EXPECT_GT(fidelity.count(), 0);
}

TEST(Parity, AllGradientsOfTheBatch) {
  MVRM_NEEDS_GOLDEN("model_f32.safetensors");
  const Named f32 = read_named("model_f32.safetensors");
  const data::Batch batch = golden_batch(f32, "c2_batch");
  const RewardModel model = golden_model(at::kFloat, "c2_batch");
  int64_t parameters = 0;
  for (const Unit& unit : model.units) parameters += static_cast<int64_t>(unit.parameters.size());
  test::Fidelity narrow("gradients of c2_batch, float32, relative", 1e-4), wide("gradients of c2_batch, float64 against float32, relative", 5e-5);
  EXPECT_EQ(compare_gradients(gradients(model, batch), f32, "c2_batch", narrow), parameters) << "a gradient for every parameter";
  compare_gradients(gradients(golden_model(at::kDouble, "c2_batch"), batch), f32, "c2_batch", wide);
}

// Opt-in: newer libraries' masks and position ids (spec/idefics2.md section 0). The default must not agree with them.
TEST(Parity, NewerLibraryVersionsOnRequest) {
  MVRM_NEEDS_GOLDEN("model_variants.safetensors");
  const Named f32 = read_named("model_f32.safetensors"), variants = read_named("model_variants.safetensors");
  for (const auto& [mode_name, mode] : {std::pair<std::string, Compatibility>{"hf523", Compatibility::hf523}, {"hf457", Compatibility::hf457}}) {
    test::Fidelity fidelity("compatibility " + mode_name + ", float32", 1e-4);
    for (const std::string& name : golden_cases()) {
      const Named wanted = starting_with(variants, mode_name + "." + name + ".");
      if (wanted.empty()) continue;
      const Named got = trace(golden_model(at::kFloat, name, mode), golden_batch(f32, name));
      for (const char* key : {"patch_attention_mask", "vision_position_ids"})
        EXPECT_TRUE(at::equal(got.at(key), wanted.at(key).reshape(got.at(key).sizes()))) << mode_name << " " << name << " " << key;
      EXPECT_LT(worst_error(got.at("connector_out"), wanted.at("connector_out"), true), 2e-5) << mode_name << " " << name;
      fidelity.add("scores", (got.at("scores") - wanted.at("scores")).abs().max().item<double>(), name);
    }
    EXPECT_GT(fidelity.count(), 0);
    const at::Tensor reference = trace(golden_model(at::kFloat, "c2_batch"), golden_batch(f32, "c2_batch")).at("scores");
    EXPECT_GT((reference - variants.at(mode_name + ".c2_batch.scores")).abs().max().item<double>(), 0.01) << mode_name;
  }
}

}  // namespace
}  // namespace mvrm::model
