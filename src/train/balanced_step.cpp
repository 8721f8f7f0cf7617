// SPDX-License-Identifier: Apache-2.0
// K evaluation dimensions, M numbers of a sketch.
#include "balanced_step.h"

#include <ATen/ATen.h>
#include <mvrm/train/pcgrad.h>

namespace mvrm::train {

namespace {

constexpr int64_t kLargeModel = 200'000'000;   // parameters

std::vector<HeadRows> left_out(const StepResources& with, const Balancer& balancer) {
  if (balancer.config().pcgrad.include_head) return {};
  return head_rows(with.model.units.back(), with.state.layouts().back());
}

// K gradients, each in parts over the ranks, and one combination of them.
StepOutcome exact_pcgrad(const StepResources& with, const StepBatch& batch, const Balancer& balancer, int64_t step, const std::function<bool()>& stop) {
  StepOutcome outcome = compute_step(with, batch, {.factor_K = {}, .per_dimension = true}, stop);
  if (outcome.abandoned) return outcome;
  const int64_t dimensions = with.samples.weight_NK.size(1);
  const auto plain = left_out(with, balancer);
  const at::Tensor gram_KK = gram_of_parts(outcome.gradient_parts, dimensions, plain, with.comm);
  combine_parts(outcome.gradient_parts, pcgrad_coefficients(gram_KK, balancer.seed(), step), plain, with.comm);
  return outcome;
}

// Two passes: sketches of the K gradients give the coefficients, then one gradient of the loss weighted by them.
StepOutcome sketched_pcgrad(const StepResources& with, const StepBatch& batch, const Balancer& balancer, int64_t step, const std::function<bool()>& stop) {
  StepOutcome first = compute_step(with, batch, {.factor_K = {}, .sketch_size = balancer.config().pcgrad.sketch_size}, stop);
  if (first.abandoned) return first;
  const auto w_K = pcgrad_coefficients(first.sketch_KM.matmul(first.sketch_KM.t()).cpu(), balancer.seed(), step);
  StepOutcome second = compute_step(with, batch, {.factor_K = [&](int64_t) { return w_K; }}, stop);
  first.stop = first.stop || second.stop;
  first.abandoned = second.abandoned;
  if (first.abandoned) return first;
  first.gradient_parts = std::move(second.gradient_parts);
  first.data_wait_seconds += second.data_wait_seconds;
  unscale_rows(first.gradient_parts, w_K, left_out(with, balancer), with.comm);
  return first;
}

}  // namespace

bool uses_sketch(const BalanceConfig& config, int64_t parameters, int64_t ranks) {
  if (config.pcgrad.gram != "auto") return config.pcgrad.gram == "sketch";
  return ranks == 1 && parameters >= kLargeModel;
}

StepOutcome compute_balanced_step(const StepResources& with, const StepBatch& batch, const Balancer& balancer, int64_t step, bool sketch,
                                  const std::function<bool()>& stop) {
  if (balancer.is_pcgrad()) return sketch ? sketched_pcgrad(with, batch, balancer, step, stop) : exact_pcgrad(with, batch, balancer, step, stop);
  return compute_step(with, batch, {.factor_K = [&](int64_t slot) { return balancer.factor_K(step, slot); }}, stop);
}

}  // namespace mvrm::train
