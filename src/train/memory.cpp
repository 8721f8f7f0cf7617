// SPDX-License-Identifier: Apache-2.0
// Walks the engine's loop (engine.cpp, shard_access.cpp, step.cpp, train_state.cpp) with sizes instead of tensors.
#include <mvrm/train/memory.h>

#include "unit_memory.h"

#include <algorithm>
#include <bit>
#include <mvrm/model/unit.h>
#include <mvrm/train/flat_parameters.h>
#include <vector>

namespace mvrm::train {

namespace {

constexpr size_t kSumsUnderWay = 2;   // as in shard_access.cpp

class Walk {
 public:
  Walk(const model::ModelConfig& config, const ClipShape& clip, const Scheme& scheme)
      : scheme_(scheme), ranks_(static_cast<double>(scheme.ranks)), w_(static_cast<double>(scheme.weight_bytes)), g_(static_cast<double>(scheme.gradient_bytes)),
        objectives_(static_cast<double>(scheme.objectives)), keep_(scheme.keep_weights || scheme.ranks == 1), reduce_each_(scheme.reduce_each && scheme.ranks > 1),
        batch_(batch_bytes(config, clip, scheme)) {
    for (const auto& unit : model::make_units(config)) {
      padded_.push_back(static_cast<double>(layout_of(unit, scheme.ranks).total));
      unit_.push_back(memory_of(config, unit, clip, scheme));
      parameters_ += padded_.back();
      largest_ = std::max(largest_, padded_.back());
    }
    // A single float32 rank steps on its weights; several, or bfloat16 ones, on master weights beside them.
    optimizer_ = (scheme.ranks == 1 && w_ == g_ ? 2 : 3) * g_ / ranks_;
  }

  MemoryEstimate run() {
    MemoryEstimate estimate;
    estimate.weights = keep_ ? w_ * parameters_ : 0;
    estimate.optimizer = optimizer_ * parameters_;
    estimate.gradients = sets() * objectives_ * g_ * parameters_ / (reduce_each_ ? ranks_ : 1) * static_cast<double>(workers());
    walk(estimate);
    estimate.loading = loading();
    estimate.update = estimate.weights + estimate.optimizer + update();
    estimate.saving = estimate.weights + estimate.optimizer + (keep_ ? 0 : w_ * parameters_);
    return estimate;
  }

 private:
  // Ranks that meet inside of a micro-batch compute one at a time.
  int64_t workers() const { return reduce_each_ || !keep_ ? 1 : std::min(scheme_.threads, scheme_.micro_batches); }
  // Sums of gradients alive at once: of the micro-batch under way, and one at each level of the tree.
  double sets() const {
    const bool running = !scheme_.ordered && workers() == 1;
    return running ? 1 : static_cast<double>(std::bit_width(static_cast<uint64_t>(std::max<int64_t>(1, scheme_.micro_batches))));
  }
  double fetched(size_t unit) const { return keep_ ? 0 : w_ * padded_[unit] + (w_ == g_ ? 0 : w_ * padded_[unit] / ranks_); }

  // The moment of the backward pass at which activations and gathers together are the largest.
  void walk(MemoryEstimate& estimate) const {
    double inputs = 0, kept = 0, held = 0;   // of the units up to the one that runs
    for (const auto& unit : unit_) inputs += unit.input, kept += unit.saved;
    for (const double padded : padded_) held += keep_ ? 0 : w_ * padded;
    double largest = -1;
    for (size_t u = unit_.size(); u-- > 0;) {
      const bool again = scheme_.recompute;
      const double graphs = again ? 0 : kept - unit_[u].saved;
      double gathers = again ? fetched(u) + (u > 0 ? fetched(u - 1) : 0) : held;
      if (reduce_each_) {
        gathers += objectives_ * g_ * padded_[u];
        const auto under_way = std::min<size_t>(kSumsUnderWay, unit_.size() - 1 - u);
        for (size_t i = 1; i <= under_way; ++i) gathers += g_ * padded_[u + i] * (scheme_.ordered ? 2 : 1 + 1 / ranks_);
      }
      const double activations = static_cast<double>(workers()) * (batch_ + inputs + graphs + unit_[u].peak());
      if (activations + gathers > largest) {
        largest = activations + gathers;
        estimate.activations = activations;
        estimate.gathers = gathers;
      }
      inputs -= unit_[u].input;
      kept -= unit_[u].saved;
      held -= keep_ ? 0 : w_ * padded_[u];
    }
  }

  // Units are taken over one by one: flattened in the dtype of the master weights, then in the model's.
  double loading() const {
    double most = 0, left = w_ * parameters_, done = 0;
    for (const double padded : padded_) {
      most = std::max(most, left + done + g_ * padded + (w_ == g_ ? 0 : w_ * padded) + optimizer_ * padded);
      left -= w_ * padded;
      done += (keep_ ? w_ : 0) * padded + optimizer_ * padded;
    }
    return most;
  }

  double update() const {
    const double part = objectives_ * g_ * parameters_ / ranks_;
    const double norms = 8 * largest_ / ranks_;   // squares in float64, a unit at a time
    if (reduce_each_ || scheme_.ranks == 1) return part + norms;
    // The sums of this rank's own micro-batches are alive until all parts have come.
    return std::max(objectives_ * g_ * parameters_ + part + g_ * largest_ * (scheme_.ordered ? 1 : 1 / ranks_), part + norms);
  }

  const Scheme& scheme_;
  double ranks_, w_, g_, objectives_;
  bool keep_, reduce_each_;
  double batch_, parameters_ = 0, largest_ = 0, optimizer_ = 0;
  std::vector<double> padded_;   // parameters by unit
  std::vector<UnitMemory> unit_;
};

}  // namespace

double MemoryEstimate::peak() const { return std::max({step(), loading, update, saving}); }

MemoryEstimate estimate_memory(const model::ModelConfig& config, const ClipShape& clip, const Scheme& scheme) { return Walk(config, clip, scheme).run(); }

double checkpoint_bytes(const model::ModelConfig& config, const Scheme& scheme) {
  return 3 * static_cast<double>(scheme.gradient_bytes * parameter_count(config));
}

double model_bytes(const model::ModelConfig& config, const Scheme& scheme) { return static_cast<double>(scheme.weight_bytes * parameter_count(config)); }

}  // namespace mvrm::train
