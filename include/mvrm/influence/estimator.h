// SPDX-License-Identifier: Apache-2.0
// The estimators of influence: a profile in, one risk per label out. One table in estimator.cpp lists the family with the parameter space
// of each. Not here: the forward pass (profile_pass.h), pairs of samples (matrix.h), the refitted head itself (leverage.h).
#pragma once
#include <mvrm/influence/profile.h>
#include <string>
#include <vector>

namespace mvrm::influence {

// S_nk = r_nk^2 ||h_n||^2 (with_bias adds 1 to ||h||^2). Computed in float64, any float dtype in, float64 out. NaN stays NaN.
core::Tensor closed_form(const core::Tensor& residual_NK, const core::Tensor& feature_sq_norm_N, bool with_bias = false);
// Scalar TracIn self-influence: sum over dimensions (NaN cells left out), [N].
core::Tensor tracin_scalar(const core::Tensor& self_influence_NK);
// TracIn over checkpoints: sum over c of learning_rate_c times the self-influence at checkpoint c, float64 [N,K].
struct Checkpoint {
  const Profile* profile = nullptr;   // of the same samples in the same order
  double learning_rate = 1;
};
// Throws DataError when the checkpoints hold other samples, dimensions or data, ConfigError for a learning rate that isn't positive.
core::Tensor tracin(const std::vector<Checkpoint>& checkpoints);
// The oracle: a real backward pass through the head for every label; float64 [N,K]. O(N K) passes, for small profiles and tests.
core::Tensor autograd_influence(const core::Tensor& feature_ND, const core::Tensor& label_NK, const core::Tensor& weight_KD,
                                const core::Tensor& bias_K, bool with_bias = false);
// Residuals, squared norms and self-influence straight from float32 features in one sweep over memory; what `profile --from` and the
// benchmark run. weight [K,D], bias [K], label [N,K] float32 contiguous; `threads` cut the rows. Products are summed in float32 lanes,
// lanes in float64.
struct HeadPass {
  core::Tensor prediction_NK, feature_sq_norm_N, self_influence_NK;   // float32
};
HeadPass head_pass(const core::Tensor& feature_ND, const core::Tensor& label_NK, const core::Tensor& weight_KD, const core::Tensor& bias_K,
                   int64_t threads = 1);

struct EstimatorInput {
  const Profile* profile = nullptr;
  std::vector<Checkpoint> checkpoints;     // tracin: what is summed
  core::Tensor weight_KD, bias_K;          // autograd: the head
};
struct EstimatorEntry {
  const char* name;
  const char* space;                       // parameter space
  const char* help;
  core::Tensor (*risk)(const EstimatorInput&);
  enum class Needs { rows, features, products, checkpoints, training } needs = Needs::rows;   // of the profile, or beside it
};
const std::vector<EstimatorEntry>& estimators();
const EstimatorEntry& estimator_named(const std::string& name);   // throws ConfigError, which lists the names
// float64 [N,K], NaN where there is no label (vbll: where there is no prediction). Throws ConfigError for an unknown name (lists the
// names), DataError when the profile lacks what the estimator needs, saying how to get it.
core::Tensor estimate(const std::string& name, const EstimatorInput& input);

}  // namespace mvrm::influence
