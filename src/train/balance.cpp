// SPDX-License-Identifier: Apache-2.0
// K evaluation dimensions.
#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <mvrm/core/error.h>
#include <mvrm/core/random.h>
#include <mvrm/train/balance.h>
#include <numeric>

namespace mvrm::train {

namespace {

constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;

std::vector<double> draw(const std::string& distribution, core::CounterRng random, size_t count) {
  std::vector<double> u(count);
  if (distribution == "dirichlet") {   // Dirichlet(1): exponentials over their sum
    for (auto& x : u) x = -std::log(1.0 - random.uniform());
  } else {
    for (auto& x : u) x = std::exp(distribution == "normal" ? random.normal() : random.uniform());
  }
  const double sum = std::accumulate(u.begin(), u.end(), 0.0);
  for (auto& x : u) x /= sum;
  return u;
}

}  // namespace

void check(const BalanceConfig& config) {
  const auto& lr = config.uncertainty_weighting.lr;
  if (!lr.map.empty() || (!lr.word.empty() && lr.word != "model") || (lr.scalar && !(*lr.scalar > 0)))
    throw core::ConfigError("balance.uncertainty_weighting.lr: must be a number above 0, or model for the schedule of the model's own rate");
}

Balancer::Balancer(const BalanceConfig& config, int64_t dimensions, uint64_t seed)
    : config_(config), dimensions_(static_cast<size_t>(dimensions)), seed_(core::combine64(core::mix64(seed), core::hash64("balance"))) {
  check(config);
  log_variance_K_.assign(dimensions_, config.uncertainty_weighting.init);
  exp_avg_K_.assign(dimensions_, 0.0);
  exp_avg_sq_K_.assign(dimensions_, 0.0);
  ema_K_.assign(dimensions_, 0.0);
}

std::vector<double> Balancer::factor_K(int64_t step, int64_t slot) const {
  const auto count = static_cast<double>(dimensions_);
  std::vector<double> factor_K(dimensions_, 1.0);
  if (config_.strategy == "uncertainty_weighting") {
    const double scale = config_.uncertainty_weighting.reduce == "sum" ? count : 1.0;
    for (size_t k = 0; k < dimensions_; ++k) factor_K[k] = 0.5 * std::exp(-log_variance_K_[k]) * scale;
  } else if (config_.strategy == "rlw") {
    uint64_t stream = static_cast<uint64_t>(step);
    if (config_.rlw.redraw == "micro_batch") stream = core::combine64(core::mix64(stream), static_cast<uint64_t>(slot));
    factor_K = draw(config_.rlw.distribution, core::CounterRng(seed_, stream), dimensions_);
    if (config_.rlw.scale == "mean1")
      for (auto& factor : factor_K) factor *= count;
  }
  return factor_K;
}

void Balancer::observe(const std::vector<double>& loss_K, double model_lr) {
  if (config_.strategy != "uncertainty_weighting") return;
  MVRM_CHECK(loss_K.size() == dimensions_, loss_K.size(), " losses for ", dimensions_, " dimensions");
  ++updates_;
  const auto& options = config_.uncertainty_weighting;
  const double lr = options.lr.word == "model" ? model_lr : options.lr.scalar.value_or(0.01);
  for (size_t k = 0; k < dimensions_; ++k) {
    if (options.analytic_ema > 0) {
      ema_K_[k] = updates_ == 1 ? loss_K[k] : options.analytic_ema * ema_K_[k] + (1 - options.analytic_ema) * loss_K[k];
      log_variance_K_[k] = std::log(std::max(ema_K_[k], 1e-12));
      continue;
    }
    // Adam without decay and without clipping; d/da of e^-a L / 2 + a / 2.
    const double gradient = 0.5 * (1.0 - std::exp(-log_variance_K_[k]) * loss_K[k]);
    exp_avg_K_[k] = kBeta1 * exp_avg_K_[k] + (1 - kBeta1) * gradient;
    exp_avg_sq_K_[k] = kBeta2 * exp_avg_sq_K_[k] + (1 - kBeta2) * gradient * gradient;
    const double mean = exp_avg_K_[k] / (1 - std::pow(kBeta1, static_cast<double>(updates_)));
    const double square = exp_avg_sq_K_[k] / (1 - std::pow(kBeta2, static_cast<double>(updates_)));
    log_variance_K_[k] -= lr * mean / (std::sqrt(square) + kEpsilon);
  }
}

core::Tensor Balancer::state() const {
  std::vector<double> values{static_cast<double>(updates_)};
  for (const auto* part : {&log_variance_K_, &exp_avg_K_, &exp_avg_sq_K_, &ema_K_}) values.insert(values.end(), part->begin(), part->end());
  return at::tensor(values, at::kDouble);
}

void Balancer::restore(const core::Tensor& state) {
  core::check_shape(state, {static_cast<int64_t>(1 + 4 * dimensions_)}, "the balancer's state");
  const double* value = state.const_data_ptr<double>();
  updates_ = static_cast<int64_t>(*value++);
  for (auto* part : {&log_variance_K_, &exp_avg_K_, &exp_avg_sq_K_, &ema_K_})
    for (auto& x : *part) x = *value++;
}

}  // namespace mvrm::train
