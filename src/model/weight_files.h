// SPDX-License-Identifier: Apache-2.0
// The weight files of a model directory: model.safetensors, or the shards that model.safetensors.index.json lists.
#pragma once
#include <filesystem>
#include <map>
#include <mvrm/core/safetensors.h>
#include <string>
#include <vector>

namespace mvrm::model {

inline constexpr char kSingle[] = "model.safetensors";
inline constexpr char kIndex[] = "model.safetensors.index.json";

struct WeightFiles {
  std::vector<std::filesystem::path> paths;                    // index first, if any; names sorted
  std::map<std::string, core::SafetensorsFile> file_of_tensor; // every tensor of every file
};

// Paths only. Throws Error (model) when there are no weights, or the index is malformed or names a shard outside of the directory.
std::vector<std::filesystem::path> weight_paths(const std::filesystem::path& model_dir);
// Opens and cross-checks: a listed tensor absent from its shard, a tensor in two shards and a shard's unlisted tensor are errors.
WeightFiles open_weights(const std::filesystem::path& model_dir);

}  // namespace mvrm::model
