// SPDX-License-Identifier: Apache-2.0
// Files of a model directory, which may come from anywhere: read within bounds, every fault an Error (model) that names the file.
#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace mvrm::core {

// False only when nothing is there; a link that leads in a circle is there, and reading it says what is wrong.
bool is_there(const std::filesystem::path& path);

// At most `max_bytes`, decided before anything is read.
std::string read_model_file(const std::filesystem::path& path, uint64_t max_bytes);

// `values` bounds the memory of the tree: up to 100 bytes each beside the text.
struct JsonLimits {
  uint64_t bytes = uint64_t{1} << 20;
  size_t values = 100'000;
};
// A JSON object without duplicate keys, at most 64 levels deep.
nlohmann::json read_model_json(const std::filesystem::path& path, const JsonLimits& limits = {});

}  // namespace mvrm::core
