// SPDX-License-Identifier: Apache-2.0
// The profile of a training set: residuals, predictions, feature norms and self-influence per sample and dimension, after one forward
// pass. A file format too (docs/files.md: profile directory). Not a speed profile.
#pragma once
#include <mvrm/core/tensor.h>
#include <mvrm/dist/communicator.h>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace mvrm::influence {

// Count, mean and M2 of a stream of numbers in one pass (Welford), mergeable in any grouping (Chan et al.).
struct Moments {
  int64_t count = 0;
  double mean = 0, squares = 0;        // squares = sum of (x - mean)^2
  void add(double x);
  void merge(const Moments& other);
  double standard_deviation() const;   // population; 0 for an empty stream
};

// Rows in the order of `ids`. N samples, K dimensions, D feature width, F frames at most. NaN = no label / not computed.
struct Profile {
  std::vector<std::string> ids;
  std::vector<std::string> prompts;
  std::vector<std::string> dimensions;
  core::Tensor residual_NK;            // float32, prediction - label
  core::Tensor prediction_NK;          // float32
  core::Tensor label_NK;               // float32, NaN = no label
  core::Tensor feature_sq_norm_N;      // float32, ||h||^2
  core::Tensor self_influence_NK;      // float32, r^2 ||h||^2, or what `estimator` says
  core::Tensor prefix_prediction_NFK;  // float32, the reward of the clip cut behind frame f; NaN beyond its frames; may be undefined
  core::Tensor kernel_NKK;             // float32, products of the gradients of rewards j and k in `space`; undefined unless asked for
  core::Tensor running_loss_NK;        // float32, of a profile that training collected (online_profile.h); else undefined
  core::Tensor done_N;                 // uint8, set after a row is whole
  core::Tensor feature_ND;             // float32, bfloat16 or float16; undefined unless asked for
  std::string model_hash, data_hash;
  std::string reading;                 // frame sampling and dtype of the model, in words; must match to resume
  std::string estimator = "closed_form", space;   // of self_influence_NK; of kernel_NKK ("" = none)
  std::vector<Moments> moments_K;      // of self_influence_NK, merged over ranks (merged_moments); empty: statistics() takes them from the table
};

// Collective. Moments of each column over finite numbers, in one pass: every rank adds up its own chunks of rows, and all merge the chunks in
// their order, so the number of ranks changes no bit. float32 or float64 table, the same on all ranks at least in a rank's own chunks
// (chunk c of 64 rows belongs to rank c modulo size).
std::vector<Moments> merged_moments(const core::Tensor& table_NK, dist::Communicator& comm);

// Per-dimension population mean and standard deviation (float64) and quantiles of self-influence; labelled rows only. An empty dimension
// has count 0 and quantiles of NaN; with equal values the standard deviation is 0.
struct DimensionStatistics {
  int64_t count = 0;
  double mean = 0, standard_deviation = 0;
  std::vector<double> quantiles;  // at 0, .01, .05, .25, .5, .75, .95, .99, 1
};
std::vector<DimensionStatistics> statistics(const Profile& profile);

// What every profile says of itself (spec/influence.md F1): CV of ||h||^2, and per dimension Spearman(S, r^2) and the Jaccard overlap of
// the top-alpha sets of S and r^2. NaN where a dimension has fewer than two labels or nothing to rank.
struct LossSimilarity {
  double feature_sq_norm_cv = 0;
  std::vector<double> spearman_K, jaccard_K;
};
LossSimilarity loss_similarity(const Profile& profile, double alpha_percent);
// Spearman of self-influence between dimensions over samples labelled in both, float64 [K,K]; NaN where there is nothing to rank.
core::Tensor dimension_correlations(const Profile& profile);

// Directory of cli.md: profile.safetensors, samples.jsonl, profile.json, self_influence.csv. Atomic per file.
void write_profile(const std::filesystem::path& directory, const Profile& profile);
// feature_ND is a read-only view of the file: clone it before writing. Throws DataError naming the file and the cause; a profile that is not
// finished is one.
Profile read_profile(const std::filesystem::path& directory);
// Throws DataError naming both when the profile was not made from this data file.
void check_data(const Profile& profile, const std::string& data_hash, const std::filesystem::path& data_file);

}  // namespace mvrm::influence
