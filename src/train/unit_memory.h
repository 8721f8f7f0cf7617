// SPDX-License-Identifier: Apache-2.0
// What one unit keeps alive, counted from its operations in src/model.
#pragma once
#include <mvrm/model/unit.h>
#include <mvrm/train/cost.h>

namespace mvrm::train {

// Bytes for one micro-batch.
struct UnitMemory {
  double input = 0;        // activation that comes in (of its own: a context passed on counts where it was made)
  double saved = 0;        // kept by the graph for the backward pass, input excluded
  double early = 0;        // of these, what is still kept when the backward pass has left the MLP
  double backward = 0;     // gradients of activations while the MLP is gone through, saved tensors already dropped subtracted
  double mlp_gradients = 0;   // of the parameters whose gradients are there by then
  double gradients = 0;    // of all parameters of the unit, model dtype
  double widest = 0;       // the largest of them in the dtype of sums, when that is another
  // The peak of the unit's backward pass, all above the input.
  double peak() const;
};
UnitMemory memory_of(const model::ModelConfig& config, const model::Unit& unit, const ClipShape& clip, const Scheme& scheme);
// The pictures and masks of a micro-batch, alive all the time.
double batch_bytes(const model::ModelConfig& config, const ClipShape& clip, const Scheme& scheme);

}  // namespace mvrm::train
