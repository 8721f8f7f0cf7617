// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <nlohmann/json.hpp>
#include <set>
#include <unistd.h>

#include "tests/support/golden.h"
#include "tests/support/tiny_model.h"

namespace mvrm::model {
namespace {

namespace fs = std::filesystem;

class CheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override { save_reward_model(dir_, model_, {}); }
  void TearDown() override { fs::remove_all(dir_); }
  core::NamedTensors tensors() const {
    core::NamedTensors named;
    for (size_t u = 0; u < model_.units.size(); ++u)
      for (size_t i = 0; i < model_.units[u].parameters.size(); ++i)
        named.emplace_back(model_.units[u].parameters[i].name, model_.parameters[u][i]);
    return named;
  }
  std::string error_of_load() const {
    try {
      load_reward_model(dir_, at::kFloat);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.status(), core::ExitStatus::model);
      return error.what();
    }
    return "no error";
  }
  void expect_error(const std::vector<std::string>& parts) const {
    const std::string message = error_of_load();
    for (const std::string& part : parts) EXPECT_NE(message.find(part), std::string::npos) << part << "\nin: " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
  // Two shards and their index; `edit` may spoil the index.
  void write_shards(const std::function<void(nlohmann::json&)>& edit = [](nlohmann::json&) {}) const {
    fs::remove(dir_ / "model.safetensors");
    const core::NamedTensors all = tensors();
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
    core::write_safetensors(dir_ / "a.safetensors", {all.begin(), middle});
    core::write_safetensors(dir_ / "b.safetensors", {middle, all.end()});
    nlohmann::json index = {{"metadata", {{"total_size", 1}}}, {"weight_map", nlohmann::json::object()}};
    for (auto it = all.begin(); it != all.end(); ++it) index["weight_map"][it->first] = it < middle ? "a.safetensors" : "b.safetensors";
    edit(index["weight_map"]);
    std::ofstream(dir_ / "model.safetensors.index.json") << index.dump();
  }
  void expect_equal(const RewardModel& loaded) const {
    for (size_t u = 0; u < model_.units.size(); ++u)
      for (size_t i = 0; i < model_.parameters[u].size(); ++i)
        EXPECT_TRUE(at::equal(loaded.parameters[u][i], model_.parameters[u][i])) << model_.units[u].parameters[i].name;
  }
  const RewardModel model_ = test::tiny_model();
  const fs::path dir_ = fs::temp_directory_path() / ("mvrm_checkpoint_" + std::to_string(getpid()));
};

TEST_F(CheckpointTest, LoadsWhatWasSaved) {
  const RewardModel loaded = load_reward_model(dir_, at::kFloat);
  expect_equal(loaded);
  EXPECT_EQ(loaded.config.dimensions, model_.config.dimensions);
  const data::Batch batch = test::tiny_batch(model_.config, 2);
  EXPECT_TRUE(at::equal(forward(loaded, batch).reward_BK, forward(model_, batch).reward_BK));
  EXPECT_EQ(load_reward_model(dir_, at::kBFloat16).parameters[0][0].scalar_type(), at::kBFloat16);
}

TEST_F(CheckpointTest, LoadsShards) {
  write_shards();
  expect_equal(load_reward_model(dir_, at::kFloat));
}

TEST_F(CheckpointTest, HashFollowsContent) {
  const std::string before = model_hash(dir_);
  save_reward_model(dir_, model_, {});
  EXPECT_EQ(model_hash(dir_), before);
  save_reward_model(dir_, test::tiny_model(at::kFloat, 43), {});
  EXPECT_NE(model_hash(dir_), before);
}

TEST_F(CheckpointTest, CopiesProcessorFiles) {
  const fs::path processor = dir_ / "processor";
  fs::create_directories(processor);
  std::ofstream(processor / "tokenizer.json") << "{}";
  std::ofstream(processor / "optimizer.pt") << "x";
  save_reward_model(dir_ / "copy", model_, processor);
  EXPECT_TRUE(fs::exists(dir_ / "copy" / "tokenizer.json"));
  EXPECT_FALSE(fs::exists(dir_ / "copy" / "optimizer.pt"));
}

TEST_F(CheckpointTest, ListsEverythingThatDoesNotFitAtOnce) {
  core::NamedTensors named = tensors();
  named.erase(std::find_if(named.begin(), named.end(), [](const auto& entry) { return entry.first == "score.bias"; }));
  for (auto& [name, value] : named) {
    if (name == "score.weight") value = at::zeros({2, 16});
    if (name == "model.text_model.norm.weight") value = at::ones({16}, at::kInt);
  }
  named.emplace_back("lm_head.weight", at::zeros({24, 16}));
  named.emplace_back("model.text_model.layers.0.self_attn.rotary_emb.inv_freq", at::zeros({4}));   // a stored buffer is no parameter
  core::write_safetensors(dir_ / "model.safetensors", named);
  expect_error({dir_.string(), "1 missing: score.bias", "1 unexpected: lm_head.weight", "score.weight is [2, 16], needs [5, 16]",
                "1 not floating-point: model.text_model.norm.weight"});
  EXPECT_EQ(error_of_load().find("inv_freq"), std::string::npos);
}

TEST_F(CheckpointTest, NamesEveryTensorThatIsNotFinite) {
  core::NamedTensors named = tensors();
  for (auto& [name, value] : named) {
    if (name == "model.text_model.norm.weight") value = at::full({16}, NAN);
    if (name == "score.bias") value = at::full({5}, INFINITY);
  }
  core::write_safetensors(dir_ / "model.safetensors", named);
  expect_error({"2 not finite: model.text_model.norm.weight, score.bias"});
}

TEST_F(CheckpointTest, ReadsEveryFloatingPointType) {
  core::NamedTensors named = tensors();
  const at::ScalarType types[] = {at::kHalf, at::kBFloat16, at::kDouble, at::kFloat};
  for (size_t i = 0; i < named.size(); ++i) named[i].second = named[i].second.to(types[i % 4]);
  core::write_safetensors(dir_ / "model.safetensors", named);
  for (const at::ScalarType target : {at::kFloat, at::kBFloat16, at::kDouble}) {
    const RewardModel loaded = load_reward_model(dir_, target);
    size_t i = 0;
    for (const auto& parameters : loaded.parameters)
      for (const auto& parameter : parameters) {
        EXPECT_TRUE(at::equal(parameter, named[i].second.to(target))) << named[i].first;
        ++i;
      }
  }
}

// In shards as Hugging Face's save_pretrained cuts them, and back into one file; neither layout leaves files of the other behind.
TEST_F(CheckpointTest, WritesShardsWhenTheModelIsLarge) {
  int64_t total = 0;
  for (const auto& [name, value] : tensors()) total += value.numel() * 4;
  save_reward_model(dir_, model_, {}, static_cast<uint64_t>(total) / 3);
  EXPECT_FALSE(fs::exists(dir_ / "model.safetensors"));
  std::ifstream file(dir_ / "model.safetensors.index.json");
  const auto index = nlohmann::json::parse(file);
  EXPECT_EQ(index["metadata"]["total_size"].get<int64_t>(), total);
  EXPECT_EQ(index["weight_map"].size(), tensors().size());
  std::set<std::string> shards;
  for (const auto& [name, shard] : index["weight_map"].items()) shards.insert(shard.get<std::string>());
  EXPECT_GE(shards.size(), 3U);
  for (const std::string& shard : shards) {
    EXPECT_TRUE(shard.starts_with("model-0000") && shard.ends_with("-of-0000" + std::to_string(shards.size()) + ".safetensors")) << shard;
    EXPECT_LE(fs::file_size(dir_ / shard), static_cast<uint64_t>(total) / 3 + 8192);
  }
  expect_equal(load_reward_model(dir_, at::kFloat));
  save_reward_model(dir_, model_, {});
  EXPECT_FALSE(fs::exists(dir_ / "model.safetensors.index.json"));
  for (const std::string& shard : shards) EXPECT_FALSE(fs::exists(dir_ / shard)) << shard;
  expect_equal(load_reward_model(dir_, at::kFloat));
}

// The reference wrote this file: loading it and saving it gives each byte back.
TEST_F(CheckpointTest, RewritesTheReferenceCheckpointByteForByte) {
  MVRM_NEEDS_GOLDEN("tiny/model.safetensors");
  save_reward_model(dir_, load_reward_model(test::golden_file("tiny"), at::kFloat), {});
  EXPECT_EQ(core::sha256_file(dir_ / "model.safetensors"), core::sha256_file(test::golden_file("tiny/model.safetensors")));
}

TEST_F(CheckpointTest, DrawsAHeadForAGenerationCheckpoint) {
  core::NamedTensors named = tensors();
  std::erase_if(named, [](const auto& entry) { return entry.first.starts_with("score."); });
  named.emplace_back("lm_head.weight", at::zeros({24, 16}));
  core::write_safetensors(dir_ / "model.safetensors", named);
  ModelConfig config = model_.config;
  config.has_score_head = false;
  std::ofstream(dir_ / "config.json") << to_json(config);
  const RewardModel loaded = load_reward_model(dir_, at::kFloat, 7), again = load_reward_model(dir_, at::kFloat, 7);
  const RewardModel other = load_reward_model(dir_, at::kFloat, 8);
  EXPECT_TRUE(loaded.config.has_score_head);
  EXPECT_TRUE(at::equal(loaded.parameters.back()[1], again.parameters.back()[1]));
  EXPECT_FALSE(at::equal(loaded.parameters.back()[1], other.parameters.back()[1]));
  EXPECT_NEAR(loaded.parameters.back()[1].std().item<double>(), config.text.initializer_range, 0.1);
  EXPECT_EQ(loaded.parameters.back()[2].abs().sum().item<double>(), 0.0);
}

TEST_F(CheckpointTest, RefusesBrokenShards) {
  write_shards([](nlohmann::json& map) { map["score.bias"] = "../b.safetensors"; });
  expect_error({"score.bias: must name a file in the same folder"});
  write_shards([](nlohmann::json& map) { map["score.bias"] = "/b.safetensors"; });
  expect_error({"score.bias: must name a file in the same folder"});
  write_shards([](nlohmann::json& map) { map["score.bias"] = "c.safetensors"; });
  expect_error({"shard c.safetensors is missing"});
  write_shards([](nlohmann::json& map) { map["extra"] = "a.safetensors"; });
  expect_error({"extra isn't in a.safetensors"});
  write_shards([](nlohmann::json& map) { map.erase("score.bias"); });
  expect_error({"b.safetensors", "score.bias isn't listed"});
  write_shards([](nlohmann::json& map) { map["score.bias"] = "a.safetensors"; });
  expect_error({"score.bias belongs to a.safetensors"});
  write_shards();
  fs::resize_file(dir_ / "b.safetensors", fs::file_size(dir_ / "b.safetensors") - 4);
  expect_error({"b.safetensors"});
  std::ofstream(dir_ / "model.safetensors.index.json") << "{\"weight_map\": []}";
  expect_error({"weight_map: must map tensor names"});
}

TEST_F(CheckpointTest, SaysWhenThereAreNoWeights) {
  fs::remove(dir_ / "model.safetensors");
  expect_error({"no weights", "model.safetensors.index.json"});
}

TEST_F(CheckpointTest, RefusesTheConfigOfAnotherModel) {
  ModelConfig config = model_.config;
  config.text.num_hidden_layers = 3;
  std::ofstream(dir_ / "config.json") << to_json(config);
  expect_error({"9 missing: model.text_model.layers.2.self_attn.q_proj.weight"});
}

}  // namespace
}  // namespace mvrm::model
