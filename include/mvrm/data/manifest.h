// SPDX-License-Identifier: Apache-2.0
// Reads a data file (JSON array, JSON Lines, Parquet) into samples; labels are matched by name, never by position.
#pragma once
#include <mvrm/data/sample.h>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace mvrm::data {

// VideoFeedback's five, in the published output order.
std::vector<std::string> videofeedback_dimensions();
// Whether this build reads Parquet (MVRM_PARQUET).
bool reads_parquet();

struct Manifest {
  std::filesystem::path path;
  std::vector<std::string> dimensions;  // K names
  std::vector<Sample> samples;
  std::string hash;  // SHA-256 of the file
};

// One thing that is wrong with one row.
struct Problem {
  int64_t line = 0;  // 1-based; of a Parquet file the row's number
  std::string id;    // empty when the row's id can't be told
  std::string cause;
};

struct ManifestOptions {
  // Names and order to read. nullopt: the key order of the first labelled row; videofeedback_dimensions() when no row has labels.
  std::optional<std::vector<std::string>> dimensions = {};
  float label_low = 1.0F, label_high = 4.0F;  // inclusive; outside is an error
  bool require_labels = false;
  // Given: hears of every problem of every row, and rows with problems are left out. Not given: the first problem is thrown.
  std::function<void(const Problem&)> on_problem = {};
};
// Throws DataError "file:line: sample 'id': cause" for: not JSON, missing or empty id, duplicate id, unknown dimension, label that isn't
// a number / NaN / out of range, no video or images. File existence is checked when a sample is read, not here.
// A label that is null or missing is NaN. VideoFeedback's, VideoScore-Bench's and GenAI-Bench's own rows (spec/videoscore.md 3) are
// accepted too; one row of GenAI-Bench gives two samples, NNNN_left and NNNN_right.
Manifest load_manifest(const std::filesystem::path& path, const ManifestOptions& options = {});

}  // namespace mvrm::data
