// SPDX-License-Identifier: Apache-2.0
#include "training.h"

#include <ATen/ATen.h>
#include <bit>
#include <cstring>
#include <mvrm/core/files.h>
#include <mvrm/core/random.h>
#include <sstream>

namespace mvrm::train {

namespace {

std::string text_of(double value) {
  std::ostringstream text;
  text.precision(17);
  text << value;
  return text.str();
}

// Only what the chosen strategy reads.
std::string text_of(const BalanceConfig& config, bool sketch) {
  const auto& uw = config.uncertainty_weighting;
  if (config.strategy == "uncertainty_weighting")
    return config.strategy + " lr " + (uw.lr.word.empty() ? text_of(uw.lr.scalar.value_or(0)) : uw.lr.word) + " init " + text_of(uw.init) + " reduce " + uw.reduce + " analytic_ema " + text_of(uw.analytic_ema);
  if (config.strategy == "rlw") return config.strategy + " " + config.rlw.redraw + " " + config.rlw.distribution + " " + config.rlw.scale;
  if (config.strategy == "pcgrad")
    return config.strategy + " gram " + (sketch ? "sketch of " + std::to_string(config.pcgrad.sketch_size) : "shards") + (config.pcgrad.include_head ? " with head" : "");
  return config.strategy;
}

std::string hex_of(uint64_t value) {
  std::ostringstream text;
  text << std::hex << value;
  return text.str();
}

// Eight bytes at a time: billions of weights are hashed at every start, and nobody forges them here.
uint64_t hash_of(uint64_t hash, const at::Tensor& tensor) {
  const at::Tensor here = tensor.detach().cpu().contiguous();
  const auto* bytes = static_cast<const char*>(here.const_data_ptr());
  const size_t size = here.nbytes();
  for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes + i, std::min(sizeof word, size - i));
    hash = (std::rotl(hash, 29) ^ word) * 0x9e3779b97f4a7c15ULL;
  }
  return core::mix64(hash ^ size);
}

}  // namespace

std::map<std::string, std::string> identity_of(const TrainConfig& config, const Samples& samples, const model::RewardModel& model, uint64_t seed, bool sketch) {
  uint64_t weights = 0, plan = hash_of(1, samples.weight_NK);
  for (size_t u = 0; u < model.units.size(); ++u)
    for (size_t i = 0; i < model.units[u].parameters.size(); ++i)
      weights = hash_of(core::combine64(weights, core::hash64(model.units[u].parameters[i].name)), model.parameters[u][i]);
  for (const auto& id : samples.ids) plan = core::combine64(plan, core::hash64(id));
  const OptimizerConfig& o = config.optimizer;
  return {{"data", samples.hash},
          {"plan", hex_of(plan)},
          {"model", hex_of(weights)},
          {"run.seed", std::to_string(seed)},
          {"train.epochs", std::to_string(config.train.epochs)},
          {"train.batch", std::to_string(config.train.batch)},
          {"train.max_steps", std::to_string(config.train.max_steps)},
          {"optimizer.lr", text_of(o.lr)},
          {"optimizer.betas", text_of(o.betas[0]) + " " + text_of(o.betas[1])},
          {"optimizer.eps", text_of(o.eps)},
          {"optimizer.weight_decay", text_of(o.weight_decay)},
          {"optimizer.clip_norm", text_of(o.clip_norm)},
          {"balance", text_of(config.balance, sketch)},
          {"schedule.kind", config.schedule.kind},
          {"schedule.warmup_ratio", text_of(config.schedule.warmup_ratio)}};
}

}  // namespace mvrm::train
