// SPDX-License-Identifier: Apache-2.0
// The disentangled influence matrix M_jk(i -> t): the product of the gradient of half the squared residual of sample i in dimension j with
// that of sample t in dimension k, in a chosen parameter space, forward only. Head: off-diagonals are exactly zero. Larger spaces add
// parameters that the dimensions share, in which they can help or cancel each other.
// N, T samples; K dimensions; D feature width; I width of the last layer's MLP. Everything is at the pooled position: no other matters.
#pragma once
#include <mvrm/core/tensor.h>
#include <mvrm/model/reward_model.h>
#include <string>
#include <vector>

namespace mvrm::influence {

enum class Space { head, head_norm, head_down, head_mlp, last_layer };
struct SpaceEntry {
  Space space;
  const char* name;
  const char* help;   // which parameters
};
const std::vector<SpaceEntry>& spaces();
// Throws ConfigError listing the names.
Space space_from_name(const std::string& name);
std::string name_of(Space space);

// Parameters of the last text layer's MLP, the final norm and the head, in float32 (float64 for a float64 model).
struct LastLayer {
  core::Tensor post_norm_D, gate_ID, up_ID, down_DI, norm_D, score_KD;
  double eps = 1e-5;
};
LastLayer last_layer(const model::RewardModel& model);

// What a sample brings: residuals [N,K] (NaN = no label; its row and column are NaN, exact zeros stay), and the hidden state between
// attention and MLP of the last layer (model::RewardOutput::skip_BD).
struct SamplePoints {
  core::Tensor residual_NK, skip_ND;
};
// Head only, from features: diagonal [N,T,K], the r_ij r_tj (h_i . h_t + [with_bias]) of each dimension; float64.
core::Tensor head_influence(const core::Tensor& residual_NK, const core::Tensor& feature_ND, const core::Tensor& residual_TK,
                            const core::Tensor& feature_TD, bool with_bias = false);
// The whole matrix, float64 [N,T,K,K]; index j belongs to sample i of `train`, k to sample t of `test`. Biases are left out.
core::Tensor influence_matrix(Space space, const LastLayer& layer, const SamplePoints& train, const SamplePoints& test);
// influence_matrix(i -> i) for every sample, float64 [N,K,K], without the N x N others. Symmetric, positive semi-definite.
core::Tensor self_matrix(Space space, const LastLayer& layer, const SamplePoints& points);
// R_j = sum over k of M_jk, labelled k only: [..., K] from [..., K, K]; NaN where dimension j has no label. Can be negative.
core::Tensor row_sum(const core::Tensor& matrix);

// The `count` training rows that pull the reward of one test sample up most (proponents: positive) and down most (opponents), by a column
// of effects [N]; NaN left out. Ties by row.
struct Ranking {
  std::vector<int64_t> proponents, opponents;
};
Ranking rank_effects(const core::Tensor& effect_N, int64_t count);

}  // namespace mvrm::influence
