// SPDX-License-Identifier: Apache-2.0
// What training costs by arithmetic: floating-point operations of a clip and bytes between ranks (spec/training.md 2.4, 2.5).
// Not here: memory (memory.h), and time, which is these numbers over what a machine reaches (run/estimate_run.h).
#pragma once
#include <cstdint>
#include <mvrm/model/model_config.h>
#include <mvrm/train/train_config.h>

namespace mvrm::train {

// A clip as the model sees it. Patches of a frame: (height / patch) * (width / patch), rounded down each.
struct ClipShape {
  int64_t frames = 16, height = 378, width = 512;
  int64_t tokens = 0;                  // of the text decoder, those of the frames included
};
int64_t patches_of(const model::ModelConfig& config, const ClipShape& clip);

// Operations of one forward pass, a multiply-add = 2, the causal half of the decoder's attention. Norms, activations and softmax are
// left out (below 1 % at full size). A backward pass takes twice as many, computing again once more.
struct Flops {
  double vision = 0, connector = 0, decoder = 0, head = 0;   // connector: projection and perceiver
  double forward() const { return vision + connector + decoder + head; }
  double training() const { return 3 * forward(); }
};
Flops flops_of(const model::ModelConfig& config, const ClipShape& clip);

int64_t parameter_count(const model::ModelConfig& config);

// How the work of a step is laid out over ranks: the knobs of `dist` and `train`, resolved.
struct Scheme {
  int64_t ranks = 1, micro_batches = 1;       // micro-batches of one rank in a step
  int64_t micro_batch = 1, threads = 1;       // samples in one; how many are computed side by side (CPU)
  int64_t weight_bytes = 2, gradient_bytes = 4;   // of one number: model dtype, and float32 for sums of gradients
  bool keep_weights = true;                   // dist.reshard: keep | free
  bool reduce_each = false;                   // dist.reduce: micro | step
  bool recompute = true, ordered = true;
  int64_t balance_group = 0;                  // dist.balance: micro-batches of like cost that are computed together; 0: samples are not dealt
  int64_t objectives = 1;                     // gradients that are kept apart: K under exact PCGrad
};

// What a configuration comes to, `auto` resolved (docs/config.md says how).
struct SchemeRequest {
  int64_t parameters = 0, ranks = 1, threads = 1, weight_bytes = 4, dimensions = 1;
  bool gpu = false;
};
Scheme scheme_of(const TrainConfig& config, const SchemeRequest& request);

// Bytes that each rank sends (and receives) in an optimiser step, at least. P parameters, N ranks, M micro-batches of a rank, w and g bytes
// of a weight and a gradient, o objectives; everything times (N-1)/N:
//   sums of gradients:   o g P      reduce: step        M o g P    reduce: micro
//   weights:             w P        reshard: keep (new weights, once)
//                        M w P      reshard: free without recompute (forward)
//                        2 M w P    reshard: free with recompute (forward and backward)
// Loss, norm and stop flags add the rest: 8 P / 1024 bytes of chunk sums and a row a sample, together well below 1 % of it.
double traffic_bytes(int64_t parameters, const Scheme& scheme);

}  // namespace mvrm::train
