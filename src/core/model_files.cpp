// SPDX-License-Identifier: Apache-2.0
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/model_files.h>
#include <system_error>

#include "json_guard.h"

namespace mvrm::core {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  return status.type() != fs::file_type::not_found || fs::is_symlink(fs::symlink_status(path, error));
}

std::string read_model_file(const fs::path& path, uint64_t max_bytes) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::exists(status) && !fs::is_regular_file(status)) throw model_error(path.string() + ": not a regular file");
  try {
    return read_file(path, max_bytes);
  } catch (const Error& cause) {
    throw model_error(cause.what());
  }
}

nlohmann::json read_model_json(const fs::path& path, const JsonLimits& limits) {
  const std::string text = read_model_file(path, limits.bytes);
  try {
    check_json(text, {.values = limits.values}, "the file");
    nlohmann::json tree = nlohmann::json::parse(text);
    if (!tree.is_object()) throw model_error("must be a JSON object, got " + std::string(tree.type_name()));
    return tree;
  } catch (const Error& cause) {
    throw model_error(path.string() + ": " + cause.what());
  }
}

}  // namespace mvrm::core
