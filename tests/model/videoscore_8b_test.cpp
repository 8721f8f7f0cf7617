// SPDX-License-Identifier: Apache-2.0
// The released model's size, without its weights: built on the meta device from its configuration, where tensors have shapes only.
#include <ATen/ATen.h>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <mvrm/model/reward_model.h>

#include "tests/support/golden.h"
#include "tests/support/program.h"

namespace mvrm::model {
namespace {

// What the hub's config.json says of VideoScore beside class defaults (spec/idefics2.md section 1).
constexpr const char* kConfig = R"({"architectures": ["Idefics2ForSequenceClassification"], "model_type": "idefics2", "image_token_id": 32001,
  "id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2", "3": "LABEL_3", "4": "LABEL_4"}, "problem_type": "regression",
  "perceiver_config": {"model_type": "idefics2"}, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
  "text_config": {"max_position_embeddings": 32768, "model_type": "mistral", "pad_token_id": 0, "rms_norm_eps": 1e-05, "vocab_size": 32003},
  "vision_config": {"hidden_size": 1152, "image_size": 980, "intermediate_size": 4304, "model_type": "idefics2", "num_attention_heads": 16,
                    "num_hidden_layers": 27, "patch_size": 14}})";

RewardModel meta_model() {
  const test::Scratch scratch("videoscore_8b");
  std::ofstream(scratch.path / "config.json") << kConfig;
  RewardModel model{.config = load_model_config(scratch.path), .units = {}, .parameters = {}, .dtype = at::kBFloat16};
  model.units = make_units(model.config);
  for (const Unit& unit : model.units) {
    auto& parameters = model.parameters.emplace_back();
    for (const ParameterSpec& spec : unit.parameters)
      parameters.push_back(at::empty(spec.shape, at::TensorOptions().dtype(model.dtype).device(at::kMeta)));
  }
  return model;
}

TEST(VideoScore8B, ExposesExactlyThePublishedTensors) {
  MVRM_NEEDS_GOLDEN("names_videoscore_8b.json");
  auto expected = test::golden_json("names_videoscore_8b.json").get<std::map<std::string, std::vector<int64_t>>>();
  const auto published = test::golden_json("manifest.json").at("videoscore_8b");
  ASSERT_EQ(expected.size(), published.at("tensors").get<size_t>());
  ASSERT_EQ(expected.size(), 764U);
  const RewardModel model = meta_model();
  int64_t total = 0;
  for (size_t u = 0; u < model.units.size(); ++u)
    for (size_t i = 0; i < model.parameters[u].size(); ++i) {
      const std::string& name = model.units[u].parameters[i].name;
      ASSERT_TRUE(expected.contains(name)) << name;
      EXPECT_EQ(model.parameters[u][i].sizes().vec(), expected[name]) << name;
      expected.erase(name);
      total += model.parameters[u][i].numel();
    }
  EXPECT_TRUE(expected.empty()) << expected.begin()->first;
  EXPECT_EQ(total, published.at("parameters").get<int64_t>());
}

}  // namespace
}  // namespace mvrm::model
