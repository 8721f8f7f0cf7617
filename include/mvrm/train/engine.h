// SPDX-License-Identifier: Apache-2.0
// Forward and backward over the list of units, written out (spec/training.md 3.1): forward keeps only each unit's input, backward runs a
// unit again, asks autograd for its gradients and adds them to a flat buffer. No hooks, no global graph.
#pragma once
#include <mvrm/core/tensor.h>
#include <mvrm/data/batch.h>
#include <mvrm/model/reward_model.h>
#include <mvrm/train/flat_parameters.h>
#include <vector>

namespace mvrm::train {

// Flat gradients by unit, in the order of the model's units.
using Gradients = std::vector<core::Tensor>;
Gradients zero_gradients(const std::vector<FlatLayout>& layouts, at::TensorOptions options);

struct MicroBatch {
  data::Batch batch;
  core::Tensor weight_BK;      // sample weight per dimension, float64; a cell without a label counts nothing whatever its weight
  double divisor = 1;          // samples in the global batch x K (spec/influence.md section 2: never the sum of weights)
};
struct MicroLoss {
  core::Tensor row_BC;         // WeightedLoss::row_BC
};
struct EngineOptions {
  at::ScalarType dtype = at::kFloat;   // of the model
  bool recompute = true;               // false: the forward pass keeps every graph; a quarter less work for much more memory
};

// Adds d loss / d parameter to `into`. `views` are the unit's parameters in model dtype; they are only read, so several threads may
// share them, each with its own `into`.
MicroLoss forward_backward(const model::ModelConfig& config, const std::vector<model::Unit>& units, const std::vector<FlatLayout>& layouts,
                           const std::vector<std::vector<core::Tensor>>& views, const MicroBatch& micro, const EngineOptions& options,
                           Gradients& into);

}  // namespace mvrm::train
