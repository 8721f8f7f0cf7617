// SPDX-License-Identifier: Apache-2.0
#include <mvrm/data/manifest.h>

#include <unordered_map>

#include "pair_rows.h"
#include "row_reader.h"
#include "sample_rows.h"

namespace mvrm::data {

namespace fs = std::filesystem;

std::vector<std::string> videofeedback_dimensions() {
  return {"visual quality", "temporal consistency", "dynamic degree", "text-to-video alignment", "factual consistency"};
}

namespace {

// Of the first row that chooses its own names; all other spellings mean VideoFeedback's five. A row that can't be read decides nothing.
std::vector<std::string> dimensions_of(const fs::path& path, const std::vector<Row>& rows, const MediaFolders& folders, bool skip_bad) {
  for (const auto& row : rows) {
    std::optional<RowLabels> labels;
    const OnProblem ignore = [](const Problem&) {};
    if (!attempt(skip_bad ? ignore : OnProblem(), [&] { labels = RowReader(path, row, folders).labels(); })) continue;
    if (!labels || labels->values.empty()) continue;
    if (!labels->names_are_free) break;
    std::vector<std::string> names;
    for (const auto& [name, value] : labels->values.items()) names.push_back(name);
    return names;
  }
  return videofeedback_dimensions();
}

}  // namespace

std::vector<Row> read_sample_rows(const fs::path& path, const OnProblem& on_problem, std::string* hash) {
  RowFile file = read_row_file(path, on_problem);
  if (hash != nullptr) *hash = std::move(file.hash);
  std::vector<Row> rows;
  int64_t index = 0;
  for (Row& row : file.rows) {
    if (!is_pair(row)) {
      rows.push_back(std::move(row));
    } else {
      attempt(on_problem, [&] {
        for (Row& side : split_pair(path, row, index)) rows.push_back(std::move(side));
      });
    }
    ++index;
  }
  return rows;
}

Manifest load_manifest(const fs::path& path, const ManifestOptions& options) {
  Manifest manifest{.path = path, .dimensions = {}, .samples = {}, .hash = {}};
  const std::vector<Row> rows = read_sample_rows(path, options.on_problem, &manifest.hash);
  const MediaFolders folders(path);
  manifest.dimensions = options.dimensions ? *options.dimensions : dimensions_of(path, rows, folders, options.on_problem != nullptr);
  std::unordered_map<std::string, int64_t> line_of_id;
  for (const auto& row : rows) {
    RowReader reader(path, row, folders);
    std::optional<Sample> sample = reader.read(manifest.dimensions, options);
    if (!sample) continue;
    const auto [first, fresh] = line_of_id.emplace(sample->id, row.line);
    const bool good = attempt(options.on_problem, [&] {
      if (!fresh) reader.fail("duplicate id; first on line " + std::to_string(first->second));
    });
    if (good) manifest.samples.push_back(std::move(*sample));
  }
  return manifest;
}

}  // namespace mvrm::data
