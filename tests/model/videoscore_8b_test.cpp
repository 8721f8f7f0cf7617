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

at::Tensor on_meta(const std::vector<int64_t>& shape) { return at::empty(shape, at::TensorOptions().dtype(at::kBFloat16).device(at::kMeta)); }

// Two frames of 378 x 378 through every layer: shapes fit together at full size. Looking up embeddings has no meta kernel and is left out.
TEST(VideoScore8B, ShapesFitThroughEveryLayer) {
  const RewardModel model = meta_model();
  const int64_t frames = 2, patches = 27 * 27, length = 170, latents = model.config.perceiver.resampler_n_latents;
  PreparedBatch prepared;
  prepared.pixels_RCHW = on_meta({frames, 3, 378, 378});
  prepared.cos_LD = prepared.sin_LD = on_meta({length, model.config.text.head_dim});
  Activation activation;
  for (size_t u = 0; u < model.units.size(); ++u) {
    const Unit& unit = model.units[u];
    switch (unit.kind) {
      case UnitKind::vision_embeddings: activation = {.hidden = on_meta({frames, patches, 1152}), .context = {}}; break;
      case UnitKind::merge:
        EXPECT_EQ(activation.hidden.sizes(), (at::IntArrayRef{frames, latents, 4096}));
        activation = {.hidden = on_meta({1, length, 4096}), .context = {}};
        break;
      case UnitKind::head: EXPECT_EQ(activation.hidden.sizes(), (at::IntArrayRef{1, length, 4096})); break;
      default: activation = run_unit(model.config, unit, model.parameters[u], activation, prepared);
    }
  }
  EXPECT_EQ(model.units.size(), 1U + 27 + 1 + 3 + 1 + 32 + 1);
}

}  // namespace
}  // namespace mvrm::model
