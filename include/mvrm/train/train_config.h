// SPDX-License-Identifier: Apache-2.0
// Configuration of a training run; keys and defaults are those of docs/config.md.
#pragma once
#include <cstdint>
#include <mvrm/config/fields.h>
#include <string>
#include <vector>

namespace mvrm::train {

struct LoopConfig {
  int64_t epochs = 1, batch = 64, micro_batch = 1, max_steps = 0;   // batch = samples per optimiser step over all ranks
  std::string recompute = "auto";
};
struct OptimizerConfig {
  double lr = 1e-5;
  std::vector<double> betas{0.9, 0.999};
  double eps = 1e-8, weight_decay = 0.01, clip_norm = 1.0;
};
struct ScheduleConfig { std::string kind = "cosine"; double warmup_ratio = 0.03; };
struct CheckpointConfig { int64_t every = 100, keep = 2; };
struct DistConfig { std::string reshard = "auto", reduce = "auto", order = "ordered"; double timeout_s = 120; };

struct TrainConfig {
  LoopConfig train;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  CheckpointConfig checkpoint;
  DistConfig dist;
  int64_t log_every = 1;
};

template <class Visitor> void describe(Visitor& v, LoopConfig& c) {
  v("epochs", c.epochs, "passes over the kept samples", config::at_least(1));
  v("batch", c.batch, "samples per optimiser step, over all ranks", config::at_least(1));
  v("micro_batch", c.micro_batch, "samples that go through the model together", config::at_least(1));
  v("max_steps", c.max_steps, "stop after so many optimiser steps (0 = no limit)", config::at_least(0));
  v("recompute", c.recompute, "activations: always compute them again in the backward pass, never, or auto (models of 200 million parameters and more)",
    config::one_of({"auto", "always", "never"}));
}
template <class Visitor> void describe(Visitor& v, OptimizerConfig& c) {
  v("lr", c.lr, "peak learning rate", config::positive);
  v("betas", c.betas, "decay of AdamW's two moments", config::in_range(0, 0.999999));
  v("eps", c.eps, "AdamW's epsilon", config::positive);
  v("weight_decay", c.weight_decay, "decoupled decay; biases and LayerNorm weights have none", config::at_least(0));
  v("clip_norm", c.clip_norm, "bound of the global gradient norm (0 = no clipping)", config::at_least(0));
}
template <class Visitor> void describe(Visitor& v, ScheduleConfig& c) {
  v("kind", c.kind, "shape behind the warm-up", config::one_of({"cosine", "linear", "constant"}));
  v("warmup_ratio", c.warmup_ratio, "share of the steps with a rising learning rate", config::in_range(0, 1));
}
template <class Visitor> void describe(Visitor& v, CheckpointConfig& c) {
  v("every", c.every, "optimiser steps between checkpoints", config::at_least(1));
  v("keep", c.keep, "checkpoints kept", config::at_least(1));
}
template <class Visitor> void describe(Visitor& v, DistConfig& c) {
  v("reshard", c.reshard, "keep: weights stay on every rank", config::one_of({"auto", "keep"}));
  v("reduce", c.reduce, "step: gradients are summed over ranks once a step", config::one_of({"auto", "step"}));
  v("order", c.order, "ordered: sums in an order that does not depend on the number of ranks; fast: the backend's order",
    config::one_of({"ordered", "fast"}));
  v("timeout_s", c.timeout_s, "seconds after which a missing peer ends the run", config::positive);
}

}  // namespace mvrm::train
