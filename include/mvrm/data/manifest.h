// SPDX-License-Identifier: Apache-2.0
// Reads a data file (JSON array or JSON Lines) into samples; labels are matched by name, never by position.
#pragma once
#include <mvrm/data/sample.h>
#include <optional>
#include <string>
#include <vector>

namespace mvrm::data {

// VideoFeedback's five, in the published output order.
std::vector<std::string> videofeedback_dimensions();

struct Manifest {
  std::filesystem::path path;
  std::vector<std::string> dimensions;             // K names
  std::vector<Sample> samples;
  std::string hash;                                // SHA-256 of the file
};

struct ManifestOptions {
  // Names and order to read. nullopt: the key order of the first labelled row; videofeedback_dimensions() when no row has labels.
  std::optional<std::vector<std::string>> dimensions;
  float label_low = 1.0F, label_high = 4.0F;       // inclusive; outside is an error
  bool require_labels = false;
};
// Throws DataError "file:line: sample id: cause" for: not JSON, missing or empty id, duplicate id, unknown dimension, label that isn't
// a number / NaN / out of range, no video or images. File existence is checked when a sample is read, not here.
// A label that is null or missing is NaN. VideoFeedback's own rows (spec/videoscore.md 3) are accepted too.
Manifest load_manifest(const std::filesystem::path& path, const ManifestOptions& options = {});

}  // namespace mvrm::data
