// SPDX-License-Identifier: Apache-2.0
// Balancing of the K dimensions' losses (spec/influence.md 2.1-2.3): equal, uncertainty weighting (Kendall), random loss weighting. All of
// them are one factor per dimension in a loss that is a mean over dimensions. Not here: PCGrad, which needs K gradients (pcgrad.h), and
// which labels count (refine); the two go together freely.
#pragma once
#include <cstdint>
#include <mvrm/core/tensor.h>
#include <mvrm/train/train_config.h>
#include <vector>

namespace mvrm::train {

// Throws ConfigError.
void check(const BalanceConfig& config);

class Balancer {
 public:
  Balancer(const BalanceConfig& config, int64_t dimensions, uint64_t seed);
  // Factor c_k of each dimension in loss = 1/K sum_k c_k L_k for a micro-batch of an optimiser step; all 1 = equal. A function of
  // (seed, step, slot) and the state alone, so the same on every rank.
  //   uncertainty weighting: c_k = e^-a_k / 2, times K for reduce: sum;  rlw: K * softmax(u)_k, without the K for scale: sum1.
  std::vector<double> factor_K(int64_t step, int64_t slot) const;
  // Behind an optimiser step: L_k, the global batch's sum of weight * residual^2 over its number of samples. Uncertainty weighting moves
  // its a_k = log sigma_k^2 with its own learning rate (at the model's it hardly moves).
  void observe(const std::vector<double>& loss_K, double model_lr);
  bool is_pcgrad() const { return config_.strategy == "pcgrad"; }
  const BalanceConfig& config() const { return config_; }
  uint64_t seed() const { return seed_; }
  const std::vector<double>& log_variance_K() const { return log_variance_K_; }
  // For checkpoints: float64 [1 + 4 K].
  core::Tensor state() const;
  void restore(const core::Tensor& state);

 private:
  BalanceConfig config_;
  size_t dimensions_;
  uint64_t seed_;
  int64_t updates_ = 0;
  std::vector<double> log_variance_K_, exp_avg_K_, exp_avg_sq_K_, ema_K_;
};

}  // namespace mvrm::train
