// SPDX-License-Identifier: Apache-2.0
// The linear head refitted by ridge regression, and with it the exact inverse Hessian: leverage, leave-one-out residuals, Cook's distance
// and the exact effect of one label on one reward, all without a second pass through the model. Parameter space: the head (weights
// penalised, bias free). Not the trained head itself: these identities hold at the ridge optimum only, so the head is fitted first.
#pragma once
#include <mvrm/core/context.h>
#include <mvrm/core/tensor.h>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mvrm::influence {

struct RidgeOptions {
  std::optional<double> lambda;   // > 0, added to the Gram matrix of centred features; nullopt: chosen by exact leave-one-out error (PRESS)
  bool leverage = false;          // also with a given lambda keep the leverages: one more N D^2
};

// Dimensions that have labels on the same rows share one factor; with complete labels that is one group. D width, G dimensions of the group.
struct RidgeGroup {
  std::vector<int64_t> dimensions;
  core::Tensor rows;                  // int64, the labelled rows, ascending
  core::Tensor mean_D, factor_DD;     // of the features on these rows; lower Cholesky factor of the centred Gram matrix + lambda I
  core::Tensor weight_DG, label_mean_G;
  core::Tensor leverage_n;            // of the labelled rows; undefined unless lambda was chosen or RidgeOptions::leverage
  double lambda = 0;
  int64_t count() const { return rows.numel(); }
  int64_t place_of(int64_t dimension) const;   // among `dimensions`; -1 when absent
};
// Dimensions with fewer than two labels have no group: their results are NaN.
struct RidgeHead {
  int64_t dimensions = 0;
  std::vector<RidgeGroup> groups;
  const RidgeGroup* group_of(int64_t dimension) const;   // nullptr: too few labels
};

// feature_ND: any float dtype, read in blocks and computed in float64; label_NK with NaN = no label. Throws Error when a feature is not
// finite, ConfigError for lambda <= 0. Cost: one Gram matrix (N D^2) and, to choose lambda, one eigendecomposition a group.
RidgeHead fit_ridge(const core::Tensor& feature_ND, const core::Tensor& label_NK, const RidgeOptions& options = {});
// The same head for features that are not centred, float64; NaN columns where there is no group.
struct LinearHead {
  core::Tensor weight_DK, bias_K;
};
LinearHead linear_head(const RidgeHead& head, int64_t width);
// Rewards of the refitted head, float64 [T,K].
core::Tensor predict(const RidgeHead& head, const core::Tensor& feature_TD);
// feature [T,D] times weight [D,J] plus bias [J] in float64: one pass over the features whatever J is; any float dtype.
core::Tensor linear_rewards(const core::Tensor& feature_TD, const core::Tensor& weight_DJ, const core::Tensor& bias_J);
// A^-1 (h - mean) of few rows, [D,M]: two triangular solves.
core::Tensor solved(const RidgeGroup& group, const core::Tensor& feature_MD);
// h_t^T A^-1 h_i over the bias and the weights, float64 [T,M]: what a residual at row i moves at row t.
core::Tensor kernel(const RidgeGroup& group, const core::Tensor& feature_TD, const core::Tensor& feature_MD);

// float64 [N,K], NaN where a label is missing. p = sum of leverages, s^2 = RSS / (n - p) in each dimension.
struct RidgeDiagnostics {
  core::Tensor residual_NK;         // r = refitted reward - label
  core::Tensor leverage_NK;         // L in [1/n, 1)
  core::Tensor loo_residual_NK;     // r / (1 - L): the residual of a head that never saw the label
  core::Tensor self_influence_NK;   // r^2 L
  core::Tensor cook_NK;             // r^2 L / ((1 - L)^2 p s^2)
  core::Tensor studentised_NK;      // r / (s sqrt(1 - L)); 0 where r is 0
};
// `feature_ND` and `label_NK` are those of fit_ridge.
RidgeDiagnostics diagnostics(const RidgeHead& head, const core::Tensor& feature_ND, const core::Tensor& label_NK);

// Change of the reward of each row of feature_TD in dimension k when label (i, k) is dropped and the head refitted, exact: for each dimension
// [T,N] over all training rows (NaN where unlabelled). Positive: the reward rises without that label. One pass over feature_ND where the
// head keeps its leverages.
std::vector<core::Tensor> leave_one_out_effects(const RidgeHead& head, const core::Tensor& feature_ND, const core::Tensor& label_NK,
                                                const core::Tensor& feature_TD);

// A fitted head in a file, found again by a text that names what it was fitted to. load_ridge gives nullopt when the file is missing,
// broken or of another key; the tensors are views of the mapped file.
void save_ridge(const std::filesystem::path& path, const RidgeHead& head, const std::string& key);
std::optional<RidgeHead> load_ridge(const std::filesystem::path& path, const std::string& key);
// Names every bit of the features, the labels and lambda.
std::string ridge_key(const core::Tensor& feature_ND, const core::Tensor& label_NK, const RidgeOptions& options);
// The head of `directory`/ridge.safetensors where it was fitted to exactly these features and labels with this lambda; else fitted, with its
// leverages, and written there (atomically), with a line in the log that says why. A folder that can't be written is a warning.
RidgeHead kept_ridge(const std::filesystem::path& directory, const core::Tensor& feature_ND, const core::Tensor& label_NK, const RidgeOptions& options,
                     const core::Context& context);

}  // namespace mvrm::influence
