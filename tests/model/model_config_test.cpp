// SPDX-License-Identifier: Apache-2.0
#include <mvrm/model/model_config.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "tests/support/tiny_model.h"

namespace mvrm::model {
namespace {

using nlohmann::json;

class ModelConfigTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(dir_); }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  ModelConfig load(const std::string& text) const {
    std::ofstream(dir_ / "config.json") << text;
    return load_model_config(dir_);
  }
  std::string error_of(const std::string& text) const {
    try {
      load(text);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.status(), core::ExitStatus::model);
      return error.what();
    }
    return "no error";
  }
  std::filesystem::path dir_ = std::filesystem::temp_directory_path() / ("mvrm_model_config_" + std::to_string(getpid()));
};

TEST_F(ModelConfigTest, ReadsBackWhatItWrites) {
  ModelConfig config = test::tiny_config(3);
  for (int round = 0; round < 2; ++round) {
    const ModelConfig read = load(to_json(config));
    EXPECT_EQ(to_json(read), to_json(config));
    EXPECT_EQ(read.dimensions, config.dimensions);
    EXPECT_EQ(read.vision.patch_size, 4);
    EXPECT_EQ(read.text.head_dim, 8);
    EXPECT_EQ(read.pad_token_id, config.pad_token_id);
    EXPECT_EQ(read.text.sliding_window, config.text.sliding_window);
    config.pad_token_id.reset();
    config.text.sliding_window.reset();
    config.compatibility = Compatibility::hf523;
  }
}

// The hub's own config.json stores only what differs from the class defaults.
TEST_F(ModelConfigTest, FillsInTheDefaultsOfIdefics2) {
  const ModelConfig config = load(R"({"architectures": ["Idefics2ForConditionalGeneration"], "model_type": "idefics2",
    "image_token_id": 32001, "perceiver_config": {"model_type": "idefics2"},
    "text_config": {"max_position_embeddings": 32768, "model_type": "mistral",
    "pad_token_id": 0, "rms_norm_eps": 1e-05, "vocab_size": 32003}, "tie_word_embeddings": false, "torch_dtype": "float32",
    "vision_config": {"hidden_size": 1152, "image_size": 980, "intermediate_size": 4304, "model_type": "idefics2",
    "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14}})");
  ModelConfig expected;
  expected.has_score_head = false;
  expected.dimensions = {"visual quality", "temporal consistency", "dynamic degree", "text-to-video alignment", "factual consistency"};
  EXPECT_EQ(to_json(config), to_json(expected));
  EXPECT_EQ(config.perceiver.rms_norm_eps, 1e-5);
}

TEST_F(ModelConfigTest, PerceiverTakesTheTextEpsWhenItsOwnIsMissing) {
  json tree = json::parse(to_json(test::tiny_config()));
  tree["perceiver_config"].erase("rms_norm_eps");
  tree["text_config"]["rms_norm_eps"] = 3e-5;
  EXPECT_EQ(load(tree.dump()).perceiver.rms_norm_eps, 3e-5);
  tree["mvrm_compatibility"] = "hf457";
  EXPECT_EQ(load(tree.dump()).perceiver.rms_norm_eps, 1e-6);
}

TEST_F(ModelConfigTest, AcceptsTheSpellingsOfOtherVersions) {
  json tree = json::parse(to_json(test::tiny_config()));
  tree["text_config"]["head_dim"] = nullptr;
  tree["text_config"].erase("rope_theta");
  tree["text_config"]["rope_parameters"] = {{"rope_theta", 500.0}, {"rope_type", "default"}};
  tree["id2label"] = {{"0", "LABEL_0"}, {"1", "LABEL_1"}, {"2", "LABEL_2"}, {"3", "LABEL_3"}, {"4", "LABEL_4"}};
  const ModelConfig config = load(tree.dump());
  EXPECT_EQ(config.text.head_dim, 8);
  EXPECT_EQ(config.text.rope_theta, 500.0);
  EXPECT_EQ(config.dimensions[3], "text-to-video alignment");
}

TEST_F(ModelConfigTest, NamesFileKeyAndCauseOfEveryMistake) {
  const struct { const char* pointer; json value; const char* expected; } mistakes[] = {
      {"/model_type", "llava", "model_type: only \"idefics2\" is supported, got \"llava\""},
      {"/architectures", "Idefics2", "architectures: must be a list"},
      {"/vision_config", 5, "vision_config: must be an object, got number"},
      {"/vision_config/hidden_size", 13, "vision_config.hidden_size: 13 is no multiple of num_attention_heads 2"},
      {"/vision_config/hidden_size", nullptr, "vision_config.hidden_size: must be an integer, got null"},
      {"/vision_config/num_hidden_layers", -1, "vision_config.num_hidden_layers: must lie in 1..1024, got -1"},
      {"/vision_config/hidden_act", "relu", "vision_config.hidden_act: only \"gelu_pytorch_tanh\""},
      {"/vision_config/patch_size", 20, "vision_config.image_size: is smaller than patch_size"},
      {"/vision_config/layer_norm_eps", 0, "vision_config.layer_norm_eps: must be a positive number, got 0"},
      {"/perceiver_config/resampler_n_heads", 3.5, "perceiver_config.resampler_n_heads: must be an integer, got 3.5"},
      {"/perceiver_config/num_key_value_heads", 4, "perceiver_config.num_key_value_heads: 4 doesn't divide resampler_n_heads 2"},
      {"/text_config/vocab_size", 99999999999, "text_config.vocab_size: must lie in"},
      {"/text_config/head_dim", 7, "text_config.head_dim: must be even"},
      {"/text_config/num_key_value_heads", 3, "text_config.num_key_value_heads: 3 doesn't divide"},
      {"/text_config/rope_scaling", {{"factor", 2}}, "text_config.rope_scaling: rotary scaling isn't supported"},
      {"/text_config/pad_token_id", 24, "text_config.pad_token_id: lies outside of vocab_size 24"},
      {"/image_token_id", 24, "image_token_id: 24 lies outside of text_config.vocab_size 24"},
      {"/pad_token_id", -1, "pad_token_id: must lie in 0.."},
      {"/pad_token_id", 21, "pad_token_id: is the same as image_token_id"},
      {"/id2label", json::object(), "id2label: must name the evaluation dimensions"},
      {"/id2label/1", "dimension 0", "id2label: names a dimension twice"},
      {"/id2label/9", "dimension 9", "no key \"5\""},
      {"/id2label/0", 4, "id2label.0: must be a name, got 4"},
      {"/mvrm_compatibility", "hf5", "mvrm_compatibility: must be one of reference, hf523, hf457"},
  };
  for (const auto& mistake : mistakes) {
    json tree = json::parse(to_json(test::tiny_config()));
    tree[json::json_pointer(mistake.pointer)] = mistake.value;
    const std::string message = error_of(tree.dump());
    EXPECT_NE(message.find(mistake.expected), std::string::npos) << mistake.pointer << ": " << message;
    EXPECT_EQ(message.find((dir_ / "config.json").string() + ": "), 0u) << message;
  }
}

TEST_F(ModelConfigTest, RefusesWhatIsNotAConfig) {
  EXPECT_NE(error_of("{\"model_type\": ").find("the file is not JSON"), std::string::npos);
  EXPECT_NE(error_of("[]").find("must be a JSON object"), std::string::npos);
  EXPECT_NE(error_of(R"({"model_type": "idefics2", "model_type": "idefics2"})").find("duplicate key 'model_type'"), std::string::npos);
  EXPECT_NE(error_of("{}").find("model_type: is missing"), std::string::npos);
  EXPECT_NE(error_of(std::string(5000, '[')).find("nests deeper than 64 levels"), std::string::npos);
  EXPECT_THROW(load_model_config(dir_ / "absent"), core::Error);
}

}  // namespace
}  // namespace mvrm::model
