// SPDX-License-Identifier: Apache-2.0
// Forward and backward over the list of units, written out (spec/training.md 3.1): forward keeps only each unit's input, backward runs a
// unit again, asks autograd for its gradients and adds them to a flat buffer. No hooks, no global graph.
// Not here: where parameters come from and gradients go (UnitAccess: memory, or other ranks).
#pragma once
#include <mvrm/core/tensor.h>
#include <mvrm/data/batch.h>
#include <mvrm/model/reward_model.h>
#include <mvrm/train/flat_parameters.h>
#include <optional>
#include <vector>

namespace mvrm::train {

// Flat gradients by unit, in the order of the model's units; with several objectives all units of the first, then of the second, ….
using Gradients = std::vector<core::Tensor>;
Gradients zero_gradients(const std::vector<FlatLayout>& layouts, at::TensorOptions options, int64_t objectives = 1);

// What a pass over the units asks of its surroundings, in this order on every rank, whatever the batch:
// forward: parameters(u), announce(u + 1), release(u) for u = 0, 1, …; backward, last unit first: the same where units are computed
// again, announce(u - 1) instead, then finished(u).
class UnitAccess {
 public:
  virtual ~UnitAccess() = default;
  virtual std::vector<core::Tensor> parameters(size_t unit) = 0;      // model dtype; only read, valid until release(unit)
  virtual void announce(size_t unit) { static_cast<void>(unit); }     // will be asked for next: may be fetched meanwhile
  virtual void release(size_t unit) { static_cast<void>(unit); }
  // The flat buffer (gradient dtype) to which the unit's gradient of one objective is added.
  virtual core::Tensor gradient(size_t objective, size_t unit) = 0;
  virtual void finished(size_t unit) { static_cast<void>(unit); }     // the gradients of all objectives are there
};
// Parameters and gradients that lie in memory as a whole. Both must outlive it; several threads may share the parameters.
class LocalAccess : public UnitAccess {
 public:
  LocalAccess(const std::vector<std::vector<core::Tensor>>& parameters, Gradients& into) : parameters_(parameters), into_(into) {}
  std::vector<core::Tensor> parameters(size_t unit) override { return parameters_[unit]; }
  core::Tensor gradient(size_t objective, size_t unit) override { return into_[objective * parameters_.size() + unit]; }

 private:
  const std::vector<std::vector<core::Tensor>>& parameters_;
  Gradients& into_;
};

struct MicroBatch {
  data::Batch batch;           // without ids: this rank has nothing to compute, but goes through the units with the others
  std::optional<model::PreparedBatch> prepared = {};   // of `batch`, where the parameters are; none: the engine prepares it
  core::Tensor weight_BK;      // sample weight per dimension, float64; a cell without a label counts nothing whatever its weight
  double divisor = 1;          // samples in the global batch x K (spec/influence.md section 2: never the sum of weights)
};
struct MicroLoss {
  core::Tensor row_BC;         // WeightedLoss::row_BC; undefined without samples
  core::Tensor reward_BK, feature_BD;   // of the forward pass, detached; all three where the parameters are
};
struct EngineOptions {
  at::ScalarType dtype = at::kFloat;   // of the model
  bool recompute = true;               // false: the forward pass keeps every graph; a quarter less work for much more memory
  bool per_dimension = false;          // K objectives, one for each dimension's part of the loss, instead of their sum
};

// Adds d objective / d parameter to the buffers of `access`.
MicroLoss forward_backward(const model::ModelConfig& config, const std::vector<model::Unit>& units, const std::vector<FlatLayout>& layouts,
                           const MicroBatch& micro, const EngineOptions& options, UnitAccess& access);

}  // namespace mvrm::train
