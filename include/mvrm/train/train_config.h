// SPDX-License-Identifier: Apache-2.0
// Configuration of a training run; keys and defaults are those of docs/config.md.
#pragma once
#include <cstdint>
#include <string>

namespace mvrm::train {

struct OptimizerConfig { double lr = 1e-5, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.01, clip_norm = 1.0; };
struct ScheduleConfig { std::string kind = "cosine"; double warmup_ratio = 0.03; };
struct CheckpointConfig { int64_t every = 100, keep = 2; };
struct LoopConfig { int64_t epochs = 1, batch = 64, micro_batch = 1, max_steps = 0; };   // batch = samples per optimiser step over all ranks
struct DistConfig { std::string reshard = "auto", reduce = "auto", order = "ordered"; double timeout_s = 120; };

struct TrainConfig {
  LoopConfig train;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  CheckpointConfig checkpoint;
  DistConfig dist;
  int64_t log_every = 1;
};

}  // namespace mvrm::train
