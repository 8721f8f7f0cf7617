// SPDX-License-Identifier: Apache-2.0
// Writes a model directory in the layout of Hugging Face's save_pretrained: one file, or shards filled in order and their index.
#include <ATen/ATen.h>
#include <cstdio>
#include <mvrm/core/disk.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/model_files.h>
#include <mvrm/model/reward_model.h>
#include <system_error>

#include "config_json.h"
#include "weight_files.h"

namespace mvrm::model {
namespace {

namespace fs = std::filesystem;

const char* const kProcessorFiles[] = {"preprocessor_config.json", "processor_config.json", "tokenizer.model",       "tokenizer.json",
                                       "tokenizer_config.json",    "added_tokens.json",     "special_tokens_map.json", "prompt_template.txt"};

const char* dtype_name(at::ScalarType dtype) {
  switch (dtype) {
    case at::kBFloat16: return "bfloat16";
    case at::kHalf: return "float16";
    case at::kDouble: return "float64";
    default: return "float32";
  }
}

uint64_t bytes_of(const core::Tensor& tensor) { return static_cast<uint64_t>(tensor.numel()) * static_cast<uint64_t>(tensor.element_size()); }

// Hugging Face's rule: a tensor that no longer fits opens the next shard; one larger than a shard gets one of its own.
std::vector<core::NamedTensors> cut_into_shards(const core::NamedTensors& tensors, uint64_t max_shard_bytes) {
  std::vector<core::NamedTensors> shards(1);
  uint64_t filled = 0;
  for (const auto& entry : tensors) {
    const uint64_t bytes = bytes_of(entry.second);
    if (filled + bytes > max_shard_bytes && !shards.back().empty()) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(entry);
    filled += bytes;
  }
  return shards;
}

std::string shard_name(size_t number, size_t count) {
  char name[64];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", number + 1, count);
  return name;
}

void write_index(const fs::path& model_dir, const std::vector<core::NamedTensors>& shards) {
  uint64_t total = 0;
  nlohmann::json map = nlohmann::json::object();   // sorted, as Hugging Face writes it
  for (size_t s = 0; s < shards.size(); ++s)
    for (const auto& [name, tensor] : shards[s]) {
      map[name] = shard_name(s, shards.size());
      total += bytes_of(tensor);
    }
  const nlohmann::json index = {{"metadata", {{"total_size", total}}}, {"weight_map", map}};
  core::write_file_atomic(model_dir / kIndex, index.dump(2) + "\n");
}

// Before a file is begun: half a model in place of none would fill the disk for the rest.
void require_room(const fs::path& model_dir, const core::NamedTensors& tensors) {
  uint64_t needed = 0;
  for (const auto& [name, tensor] : tensors) needed += bytes_of(tensor);
  const uint64_t room = core::free_bytes(model_dir);
  if (needed > room)
    throw core::io_error(model_dir.string() + ": the model needs " + std::to_string(needed) + " bytes, the disk has " + std::to_string(room) + "; make room and start again");
}

// Readers prefer the single file to the index: what an earlier save left behind must not win.
void remove_other_weights(const fs::path& model_dir, const std::vector<core::NamedTensors>& shards) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(model_dir, error)) {
    const std::string name = entry.path().filename().string();
    bool is_own = shards.size() == 1 && name == kSingle;
    for (size_t s = 0; shards.size() > 1 && s < shards.size(); ++s) is_own = is_own || name == shard_name(s, shards.size());
    const bool is_weights = name == kSingle || (name.starts_with("model-") && name.ends_with(".safetensors"));
    if (is_weights && !is_own) fs::remove(entry.path(), error);
  }
  if (shards.size() == 1) fs::remove(model_dir / kIndex, error);
}

}  // namespace

void save_reward_model(const fs::path& model_dir, const RewardModel& model, const fs::path& processor_dir, uint64_t max_shard_bytes) {
  std::error_code error;
  fs::create_directories(model_dir, error);
  if (error) throw core::io_error(model_dir.string() + ": can't be created: " + error.message());
  core::NamedTensors tensors;
  for (size_t u = 0; u < model.units.size(); ++u)
    for (size_t i = 0; i < model.units[u].parameters.size(); ++i)
      tensors.emplace_back(model.units[u].parameters[i].name, model.parameters[u][i]);
  require_room(model_dir, tensors);
  const std::vector<core::NamedTensors> shards = cut_into_shards(tensors, max_shard_bytes);
  for (size_t s = 0; s < shards.size(); ++s)
    core::write_safetensors(model_dir / (shards.size() == 1 ? kSingle : shard_name(s, shards.size())), shards[s], {{"format", "pt"}});
  if (shards.size() > 1) write_index(model_dir, shards);
  nlohmann::ordered_json config = config_tree(model.config);
  config["torch_dtype"] = dtype_name(model.dtype);
  core::write_file_atomic(model_dir / "config.json", config.dump(2) + "\n");
  remove_other_weights(model_dir, shards);
  if (processor_dir.empty() || fs::equivalent(processor_dir, model_dir, error)) return;
  for (const char* name : kProcessorFiles)
    if (fs::exists(processor_dir / name)) core::write_file_atomic(model_dir / name, core::read_file(processor_dir / name));
}

}  // namespace mvrm::model
