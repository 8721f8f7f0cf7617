// SPDX-License-Identifier: Apache-2.0
// Truth files (docs/files.md: rendered data set): the right labels beside the observed ones.
#pragma once
#include <filesystem>
#include <map>
#include <mvrm/refine/noise.h>
#include <nlohmann/json.hpp>
#include <string>

namespace mvrm::experiment {

using TrueLabels = std::map<std::string, nlohmann::ordered_json>;   // by id: {dimension: label}
// Throws DataError "file:line: …".
TrueLabels read_true_labels(const std::filesystem::path& truth_file);
// Throws DataError for an id or dimension without truth.
double true_label(const TrueLabels& labels, const std::string& id, const std::string& dimension);

// A data set with labels corrupted on purpose: `train_file` and `truth_file` are written from `source`, clips stay where they are.
void write_planted(const std::filesystem::path& source, const std::vector<std::string>& dimensions, refine::NoiseConfig noise,
                   const std::filesystem::path& train_file, const std::filesystem::path& truth_file);

}  // namespace mvrm::experiment
