// SPDX-License-Identifier: Apache-2.0
// Memory of one rank under a scheme (cost.h), by walking the training engine's loop unit by unit and adding up what is alive: the model of
// spec/training.md 2.2 and 2.3 for this engine. Checked against a counting allocator (tests/train/memory_test.cpp).
// Not here: what the process needs before its first tensor (CUDA context, NCCL, libraries), data read ahead, the allocator's fragments.
#pragma once
#include <mvrm/train/cost.h>
#include <string>

namespace mvrm::train {

// In bytes, at the moment of the peak of a step. P parameters, N ranks, w and g bytes of a weight and a gradient:
//   weights      keep: w P;  free: what is fetched, see gathers (no weights at all without ranks to fetch from)
//   optimizer    master weights and two moments: 3 g P / N (a single float32 rank steps on its weights: 2 g P)
//   gradients    o sets of g P (reduce: step) or g P / N (reduce: micro), and with order: ordered as many again for each level of the
//                tree of sums: 1 + floor(log2 M) for M micro-batches
//   gathers      units of weights fetched for now and next; units of gradients under way to the rank that keeps them
//   activations  inputs of all units, and the graph of one of them (recompute) or of all, with the gradients of a unit's parameters
struct MemoryEstimate {
  double weights = 0, optimizer = 0, gradients = 0, gathers = 0, activations = 0;
  double loading = 0;   // the most that is alive while the model is read and split up
  double update = 0;    // … while gradients are summed over ranks and weights change
  double saving = 0;    // … while the whole model is put together to be written or evaluated
  double step() const { return weights + optimizer + gradients + gathers + activations; }
  double peak() const;
};
MemoryEstimate estimate_memory(const model::ModelConfig& config, const ClipShape& clip, const Scheme& scheme);

// Bytes on disk: a checkpoint of all ranks (master weights and moments), and the model directory's weights.
double checkpoint_bytes(const model::ModelConfig& config, const Scheme& scheme);
double model_bytes(const model::ModelConfig& config, const Scheme& scheme);

}  // namespace mvrm::train
