// SPDX-License-Identifier: Apache-2.0
// Every number of the forward and backward pass against the reference implementation, by name; the worst error of each group is printed.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "tests/model/golden_case.h"

namespace mvrm::model {
namespace {

// "decoder_layer_1" -> "decoder_layer"
std::string group_of(const std::string& key) { return key.substr(0, key.find_last_not_of("_0123456789") + 1); }

void print(const char* title, const std::map<std::string, double>& worst) {
  std::printf("%s\n", title);
  for (const auto& [group, error] : worst) std::printf("  %-22s %.2e\n", group.c_str(), error);
}

bool is_text_side(const std::string& key) {
  return key == "merged_embeddings" || key == "final_hidden" || key.starts_with("decoder_layer");
}

// Undefined positions (attention_mask 0) are left out.
double masked_error(const std::string& key, const at::Tensor& got, const at::Tensor& want, const at::Tensor& attention_mask_BL) {
  if (!is_text_side(key)) return worst_error(got, want, true);
  const at::Tensor real_BL = attention_mask_BL != 0;
  return worst_error(got.index({real_BL}), want.index({real_BL}), true);
}

TEST(Parity, EveryIntermediateInFloat64) {
  MVRM_NEEDS_GOLDEN("model_f64.safetensors");
  const Named f32 = read_named("model_f32.safetensors"), f64 = read_named("model_f64.safetensors");
  std::map<std::string, double> worst;
  int64_t compared = 0;
  for (const std::string name : kCases) {
    const data::Batch batch = golden_batch(f32, name);
    const Named got = trace(golden_model(at::kDouble, name), batch);
    for (const auto& [key, want] : f64) {
      const std::string prefix = name + ".out.";
      if (!key.starts_with(prefix) || key.starts_with(prefix + "grad.")) continue;
      const std::string quantity = key.substr(prefix.size());
      ASSERT_TRUE(got.contains(quantity)) << quantity;
      const double error = masked_error(quantity, got.at(quantity), want, batch.attention_mask_BL);
      EXPECT_LT(error, 1e-9) << key;
      worst[group_of(quantity)] = std::max(worst[group_of(quantity)], error);
      ++compared;
    }
  }
  EXPECT_GE(compared, 50);
  print("float64 against the all-double reference, relative:", worst);
}

TEST(Parity, MasksPositionsAndPoolingAreEqual) {
  MVRM_NEEDS_GOLDEN("model_f32.safetensors");
  const Named f32 = read_named("model_f32.safetensors");
  for (const std::string name : kCases) {
    const Named got = trace(golden_model(at::kFloat, name), golden_batch(f32, name));
    for (const char* key : {"patch_attention_mask", "vision_position_ids", "pool_index"}) {
      const at::Tensor want = f32.at(name + ".out." + key);
      EXPECT_TRUE(at::equal(got.at(key), want.reshape(got.at(key).sizes()))) << name << " " << key;
    }
  }
}

TEST(Parity, ScoresInFloat32) {
  MVRM_NEEDS_GOLDEN("model_f32.safetensors");
  const Named f32 = read_named("model_f32.safetensors");
  std::map<std::string, double> worst;
  for (const std::string name : kCases) {
    const data::Batch batch = golden_batch(f32, name);
    const RewardOutput output = forward(golden_model(at::kFloat, name), batch);
    const double scores = (output.reward_BK - f32.at(name + ".out.scores")).abs().max().item<double>();
    const double pooled = worst_error(output.feature_BD, f32.at(name + ".out.pooled"), true);
    const double loss = std::abs(at::mse_loss(output.reward_BK, batch.label_BK).item<double>() - f32.at(name + ".out.loss").item<double>());
    EXPECT_LT(scores, 1e-4) << name;
    EXPECT_LT(pooled, 2e-5) << name;
    EXPECT_LT(loss, 1e-3) << name;
    worst["scores (absolute)"] = std::max(worst["scores (absolute)"], scores);
    worst["pooled"] = std::max(worst["pooled"], pooled);
  }
  print("float32:", worst);
}

TEST(Parity, ScoresInBfloat16) {
  MVRM_NEEDS_GOLDEN("model_bf16.safetensors");
  const Named f32 = read_named("model_f32.safetensors"), bf16 = read_named("model_bf16.safetensors");
  std::map<std::string, double> worst;
  for (const std::string name : {"c1_single", "c2_batch", "c5_video"}) {
    const RewardOutput output = forward(golden_model(at::kBFloat16, name), golden_batch(f32, name));
    EXPECT_EQ(output.reward_BK.scalar_type(), at::kFloat);
    EXPECT_EQ(output.feature_BD.scalar_type(), at::kBFloat16);
    const double error = (output.reward_BK - bf16.at(name + ".out.scores").to(at::kFloat)).abs().max().item<double>();
    EXPECT_LT(error, 0.2) << name;
    worst[name] = error;
  }
  print("bfloat16 scores, absolute:", worst);
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

// Mathematically zero: what is stored is rounding noise.
bool is_noise(const std::string& name) { return name.find("vision_model") != std::string::npos && name.ends_with("k_proj.bias"); }

std::string module_of(const std::string& name) {
  for (const char* part : {"vision_model", "modality_projection", "perceiver_resampler", "embed_tokens", "text_model"})
    if (name.find(part) != std::string::npos) return part;
  return "score";
}

// Worst error by module over the `<case>.out.grad.*` of a file; asks for at least `expected` of them.
void compare_gradients(const Named& got, const Named& golden, const std::string& case_name, double tolerance, int64_t expected) {
  std::map<std::string, double> worst;
  const std::string prefix = case_name + ".out.grad.";
  int64_t compared = 0;
  for (const auto& [key, want] : golden) {
    if (!key.starts_with(prefix)) continue;
    const std::string name = key.substr(prefix.size());
    ++compared;
    if (is_noise(name)) continue;
    const double error = worst_error(got.at(name), want, false);
    EXPECT_LT(error, tolerance) << key;
    worst[module_of(name)] = std::max(worst[module_of(name)], error);
  }
  EXPECT_GE(compared, expected);
  print((case_name + " gradients, relative, " + std::to_string(compared) + " tensors:").c_str(), worst);
}

TEST(Parity, GradientsInFloat64) {
  MVRM_NEEDS_GOLDEN("model_f64.safetensors");
  const Named f32 = read_named("model_f32.safetensors"), f64 = read_named("model_f64.safetensors");
  for (const std::string name : kCases) {
    if (!f64.contains(name + ".out.grad.score.weight")) continue;   // the committed subset holds c2_batch alone
    compare_gradients(gradients(golden_model(at::kDouble, name), golden_batch(f32, name)), f64, name, 1e-9, 8);
  }
}

TEST(Parity, AllGradientsAgainstFloat32Reference) {
  MVRM_NEEDS_GOLDEN("model_f32.safetensors");
  const Named f32 = read_named("model_f32.safetensors");
  const data::Batch batch = golden_batch(f32, "c2_batch");
  compare_gradients(gradients(golden_model(at::kDouble, "c2_batch"), batch), f32, "c2_batch", 5e-5, 84);
  compare_gradients(gradients(golden_model(at::kFloat, "c2_batch"), batch), f32, "c2_batch", 1e-4, 84);
}

TEST(Parity, NewerLibraryVersionsOnRequest) {
  MVRM_NEEDS_GOLDEN("model_variants.safetensors");
  const Named f32 = read_named("model_f32.safetensors"), variants = read_named("model_variants.safetensors");
  const std::map<std::string, Compatibility> modes = {{"hf523", Compatibility::hf523}, {"hf457", Compatibility::hf457}};
  for (const auto& [mode_name, mode] : modes)
    for (const std::string name : {"c1_single", "c2_batch", "c4_sliding6"}) {
      const Named got = trace(golden_model(at::kFloat, name, mode), golden_batch(f32, name));
      const auto want = [&](const std::string& key) { return variants.at(mode_name + "." + name + "." + key); };
      for (const char* key : {"patch_attention_mask", "vision_position_ids"})
        EXPECT_TRUE(at::equal(got.at(key), want(key).reshape(got.at(key).sizes()))) << mode_name << " " << name << " " << key;
      EXPECT_LT(worst_error(got.at("connector_out"), want("connector_out"), true), 2e-5) << mode_name << " " << name;
      EXPECT_LT((got.at("scores") - want("scores")).abs().max().item<double>(), 1e-4) << mode_name << " " << name;
    }
}

}  // namespace
}  // namespace mvrm::model
