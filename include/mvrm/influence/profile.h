// SPDX-License-Identifier: Apache-2.0
// The profile of a training set: residuals, predictions, feature norms and self-influence per sample and dimension, after one forward
// pass. A file format too (docs/files.md: profile directory). Not a speed profile.
#pragma once
#include <mvrm/core/tensor.h>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace mvrm::influence {

// Rows in the order of `ids`. N samples, K dimensions, D feature width. NaN = no label / not computed.
struct Profile {
  std::vector<std::string> ids;
  std::vector<std::string> prompts;
  std::vector<std::string> dimensions;
  core::Tensor residual_NK;        // float32, prediction - label
  core::Tensor prediction_NK;      // float32
  core::Tensor label_NK;           // float32, NaN = no label
  core::Tensor feature_sq_norm_N;  // float32, ||h||^2
  core::Tensor self_influence_NK;  // float32, r^2 ||h||^2
  core::Tensor done_N;             // uint8, set after a row is whole
  core::Tensor feature_ND;         // float32, undefined unless asked for
  std::string model_hash, data_hash;
  std::string reading;  // frame sampling and dtype of the model, in words; must match to resume
};

// Per-dimension population mean and standard deviation (Welford, float64) and quantiles of self-influence; labelled rows only.
struct DimensionStatistics {
  int64_t count = 0;
  double mean = 0, standard_deviation = 0;
  std::vector<double> quantiles;  // at 0, .01, .05, .25, .5, .75, .95, .99, 1
};
std::vector<DimensionStatistics> statistics(const Profile& profile);

// What every profile says of itself (spec/influence.md F1): CV of ||h||^2, and per dimension Spearman(S, r^2) and the Jaccard overlap of
// the top-alpha sets of S and r^2.
struct LossSimilarity {
  double feature_sq_norm_cv = 0;
  std::vector<double> spearman_K, jaccard_K;
};
LossSimilarity loss_similarity(const Profile& profile, double alpha_percent);

// Directory of cli.md: profile.safetensors, samples.jsonl, profile.json, self_influence.csv. Atomic per file.
void write_profile(const std::filesystem::path& directory, const Profile& profile);
// Throws DataError naming the file and the cause; a profile that is not finished is one.
Profile read_profile(const std::filesystem::path& directory);

}  // namespace mvrm::influence
