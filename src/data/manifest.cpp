// SPDX-License-Identifier: Apache-2.0
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/data/manifest.h>

#include <unordered_map>

#include "row_reader.h"

namespace mvrm::data {

namespace fs = std::filesystem;

std::vector<std::string> videofeedback_dimensions() {
  return {"visual quality", "temporal consistency", "dynamic degree", "text-to-video alignment", "factual consistency"};
}

namespace {

// Of the first row that chooses its own names; all other spellings mean VideoFeedback's five.
std::vector<std::string> dimensions_of(const fs::path& path, const std::vector<Row>& rows) {
  for (const auto& row : rows) {
    const auto labels = RowReader(path, row).labels();
    if (!labels || labels->values.empty()) continue;
    if (!labels->names_are_free) break;
    std::vector<std::string> names;
    for (const auto& [name, value] : labels->values.items()) names.push_back(name);
    return names;
  }
  return videofeedback_dimensions();
}

}  // namespace

Manifest load_manifest(const fs::path& path, const ManifestOptions& options) {
  if (!fs::is_regular_file(path)) throw core::DataError(path.string() + ": data file not found");
  const std::string text = core::read_file(path);
  const std::vector<Row> rows = read_rows(path, text);
  Manifest manifest{.path = path, .dimensions = {}, .samples = {}, .hash = core::sha256_hex(text)};
  manifest.dimensions = options.dimensions ? *options.dimensions : dimensions_of(path, rows);
  std::unordered_map<std::string, int64_t> line_of_id;
  for (const auto& row : rows) {
    RowReader reader(path, row);
    manifest.samples.push_back(reader.read(manifest.dimensions, options));
    const auto [first, fresh] = line_of_id.emplace(manifest.samples.back().id, row.line);
    if (!fresh) reader.fail("duplicate id; first on line " + std::to_string(first->second));
  }
  return manifest;
}

}  // namespace mvrm::data
