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
  bool collect_influence = false;
};
struct OptimizerConfig {
  double lr = 1e-5;
  std::vector<double> betas{0.9, 0.999};
  double eps = 1e-8, weight_decay = 0.01, clip_norm = 1.0;
};
struct ScheduleConfig { std::string kind = "cosine"; double warmup_ratio = 0.03; };
struct CheckpointConfig { int64_t every = 100, keep = 2; bool model = false; };
struct DistConfig { std::string reshard = "auto", reduce = "auto", order = "auto", balance = "auto"; double timeout_s = 120, peak_tflops = 0; };

struct UncertaintyConfig {
  config::ScalarOrMap lr{.scalar = 0.01};
  double init = -0.5;
  std::string reduce = "sum";
  double analytic_ema = 0;
};
struct RlwConfig { std::string redraw = "step", distribution = "normal", scale = "mean1"; };
struct PcgradConfig { std::string gram = "auto"; int64_t sketch_size = 65536; bool include_head = false; };
struct BalanceConfig {
  std::string strategy = "equal";
  UncertaintyConfig uncertainty_weighting;
  RlwConfig rlw;
  PcgradConfig pcgrad;
};

struct TrainConfig {
  LoopConfig train;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  CheckpointConfig checkpoint;
  DistConfig dist;
  BalanceConfig balance;
  int64_t log_every = 1;
  bool tensorboard = false;                    // event files beside metrics.jsonl
};

template <class Visitor> void describe(Visitor& v, LoopConfig& c) {
  v("epochs", c.epochs, "passes over the kept samples", config::at_least(1));
  v("batch", c.batch, "samples per optimiser step, over all ranks", config::at_least(1));
  v("micro_batch", c.micro_batch, "samples that go through the model together", config::at_least(1));
  v("max_steps", c.max_steps, "stop after so many optimiser steps (0 = no limit)", config::at_least(0));
  v("recompute", c.recompute, "activations: always compute them again in the backward pass, never, or auto (models of 200 million parameters and more)",
    config::one_of({"auto", "always", "never"}));
  v("collect_influence", c.collect_influence, "write a profile of what the training forward saw of every sample to run.dir/online_profile, without a forward pass more");
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
  v("model", c.model, "also write each checkpoint's model, for mvrm profile and mvrm eval (checkpoints/step-N/model); training waits for it");
}
template <class Visitor> void describe(Visitor& v, DistConfig& c) {
  v("reshard", c.reshard, "weights: keep them on every rank, or free them after use and fetch them again (several ranks only); auto: keep",
    config::one_of({"auto", "keep", "free"}));
  v("reduce", c.reduce, "gradients: summed over ranks once a step, or after each micro-batch (a rank then keeps its part only); auto: micro where weights are freed or several ranks sum a model of 200 million parameters and more in order, else step",
    config::one_of({"auto", "step", "micro"}));
  v("order", c.order, "ordered: sums in an order that does not depend on the number of ranks; fast: the backend's order, in the memory of one gradient; auto: ordered on CPUs, fast on GPUs",
    config::one_of({"auto", "ordered", "fast"}));
  v("balance", c.balance, "deal the samples of a step so that ranks have equal work, by operations of each; the order of sums changes with it and with reduce, and is the same on every number of ranks; auto: models of 200 million parameters and more",
    config::one_of({"auto", "always", "never"}));
  v("peak_tflops", c.peak_tflops, "what one GPU (or CPU rank) reaches at most, in 10^12 operations a second (H100 and H200: 989, B200: 2250): metrics.jsonl then tells the share that training uses; 0 = unknown",
    config::at_least(0));
  v("timeout_s", c.timeout_s, "seconds after which a missing peer ends the run", config::positive);
}
template <class Visitor> void describe(Visitor& v, UncertaintyConfig& c) {
  v("lr", c.lr, "learning rate of the variances, constant; model: the model's own rate, at which they hardly move");
  v("init", c.init, "log variance to start from");
  v("reduce", c.reduce, "sum or mean over dimensions; mean keeps the step size of equal weighting", config::one_of({"sum", "mean"}));
  v("analytic_ema", c.analytic_ema, "above 0: variance = running mean of the loss with this decay, instead of a learned one", config::in_range(0, 0.999999));
}
template <class Visitor> void describe(Visitor& v, RlwConfig& c) {
  v("redraw", c.redraw, "how often random weights are drawn", config::one_of({"step", "micro_batch"}));
  v("distribution", c.distribution, "what is drawn: softmax of normal or uniform numbers, or Dirichlet(1)", config::one_of({"normal", "uniform", "dirichlet"}));
  v("scale", c.scale, "mean1: weights of mean 1, as equal weighting has; sum1: of sum 1, as LibMTL has (learning rate over K)", config::one_of({"mean1", "sum1"}));
}
template <class Visitor> void describe(Visitor& v, PcgradConfig& c) {
  v("gram", c.gram, "products of the dimensions' gradients: shards (exact, K gradients over all ranks), sketch (near-exact, memory of one), auto (shards on several ranks)",
    config::one_of({"auto", "shards", "sketch"}));
  v("sketch_size", c.sketch_size, "numbers per dimension of a sketch", config::at_least(16));
  v("include_head", c.include_head, "count the score head's own rows, which never conflict, too");
}
template <class Visitor> void describe(Visitor& v, BalanceConfig& c) {
  v("strategy", c.strategy, "balancing of the dimensions' losses", config::one_of({"equal", "uncertainty_weighting", "rlw", "pcgrad"}));
  v.group("uncertainty_weighting", c.uncertainty_weighting, "Kendall's uncertainty weighting");
  v.group("rlw", c.rlw, "random loss weighting");
  v.group("pcgrad", c.pcgrad, "gradient surgery");
}

}  // namespace mvrm::train
