// SPDX-License-Identifier: Apache-2.0
#include "weight_files.h"

#include <mvrm/core/error.h>
#include <mvrm/core/model_files.h>
#include <set>

namespace mvrm::model {
namespace {

namespace fs = std::filesystem;
constexpr core::JsonLimits kIndexLimits{.bytes = uint64_t{16} << 20, .values = 210'000};

// Tensor name to shard file name.
std::map<std::string, std::string> read_index(const fs::path& path) {
  const nlohmann::json index = core::read_model_json(path, kIndexLimits);
  if (!index.contains("weight_map") || !index["weight_map"].is_object() || index["weight_map"].empty())
    throw core::model_error(path.string() + ": weight_map: must map tensor names to shard files");
  std::map<std::string, std::string> shard_of;
  for (const auto& [name, shard] : index["weight_map"].items()) {
    const std::string file = shard.is_string() ? shard.get<std::string>() : "";
    if (file.empty() || file.find_first_of("/\\") != std::string::npos || file == "..")
      throw core::model_error(path.string() + ": weight_map: " + name + ": must name a file in the same folder, got " + shard.dump().substr(0, 200));
    shard_of[name] = file;
  }
  return shard_of;
}

bool is_sharded(const fs::path& model_dir) {
  if (core::is_there(model_dir / kSingle)) return false;
  if (core::is_there(model_dir / kIndex)) return true;
  throw core::model_error(model_dir.string() + ": no weights: neither " + kSingle + " nor " + kIndex +
                          " is there; convert other formats to safetensors first");
}

WeightFiles open_shards(const fs::path& model_dir) {
  const fs::path index_path = model_dir / kIndex;
  const std::map<std::string, std::string> shard_of = read_index(index_path);
  WeightFiles weights{.paths = weight_paths(model_dir), .file_of_tensor = {}};
  for (size_t i = 1; i < weights.paths.size(); ++i) {
    const core::SafetensorsFile file = core::SafetensorsFile::open(weights.paths[i]);
    const std::string shard = weights.paths[i].filename().string();
    for (const core::TensorInfo& info : file.tensors()) {
      const auto listed = shard_of.find(info.name);
      if (listed == shard_of.end()) throw core::model_error(weights.paths[i].string() + ": " + info.name + " isn't listed in " + kIndex);
      if (listed->second != shard)
        throw core::model_error(weights.paths[i].string() + ": " + info.name + " belongs to " + listed->second + " by " + kIndex);
      weights.file_of_tensor.emplace(info.name, file);
    }
  }
  for (const auto& [name, shard] : shard_of)
    if (!weights.file_of_tensor.contains(name)) throw core::model_error(index_path.string() + ": " + name + " isn't in " + shard);
  return weights;
}

}  // namespace

std::vector<fs::path> weight_paths(const fs::path& model_dir) {
  if (!is_sharded(model_dir)) return {model_dir / kSingle};
  std::vector<fs::path> paths = {model_dir / kIndex};
  std::set<std::string> shards;
  for (const auto& [name, shard] : read_index(paths[0])) shards.insert(shard);
  for (const std::string& shard : shards) {
    if (!core::is_there(model_dir / shard))
      throw core::model_error(paths[0].string() + ": shard " + shard + " is missing; is the download complete?");
    paths.push_back(model_dir / shard);
  }
  return paths;
}

WeightFiles open_weights(const fs::path& model_dir) {
  if (is_sharded(model_dir)) return open_shards(model_dir);
  WeightFiles weights{.paths = {model_dir / kSingle}, .file_of_tensor = {}};
  const core::SafetensorsFile file = core::SafetensorsFile::open(weights.paths[0]);
  for (const core::TensorInfo& info : file.tensors()) weights.file_of_tensor.emplace(info.name, file);
  return weights;
}

}  // namespace mvrm::model
