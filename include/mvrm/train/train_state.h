// SPDX-License-Identifier: Apache-2.0
// Everything that training changes: weights on every rank, and this rank's part of the master weights and AdamW moments.
#pragma once
#include <functional>
#include <mvrm/dist/communicator.h>
#include <mvrm/model/reward_model.h>
#include <mvrm/train/engine.h>
#include <mvrm/train/train_config.h>
#include <string>
#include <vector>

namespace mvrm::train {

// One unit. Full buffers hold layout.total elements; a part holds total / ranks of them, rank r the r-th.
struct UnitState {
  FlatLayout layout;
  core::Tensor weights;                          // full, model dtype; RewardModel::parameters are views into it
  core::Tensor master, exp_avg, exp_avg_sq;      // part, float32 (float64 for a float64 model)
};

class TrainState {
 public:
  // Takes over the model's weights: its parameters become views into the flat buffers. `decayed` says which parameters weight decay touches.
  TrainState(model::RewardModel& model, const dist::Communicator& comm, std::function<bool(const std::string&)> decayed = is_decayed);
  const std::vector<FlatLayout>& layouts() const { return layouts_; }
  std::vector<UnitState>& units() { return units_; }
  at::TensorOptions gradient_options() const;   // float32 (float64 for a float64 model), where the weights are

  // Global gradient norm of this rank's parts: chunk sums in float64, added in index order, so it does not depend on the number of ranks.
  double global_norm(const Gradients& parts, dist::Communicator& comm) const;
  // Scales `parts` by min(1, clip_norm / (norm + 1e-6)) (0 = no clipping), then one AdamW step (number `step`, from 1) and the exchange
  // of the new weights.
  void update(Gradients& parts, double norm, double lr, int64_t step, const OptimizerConfig& config, dist::Communicator& comm);
  // Full tensors by name ("weight/…", "exp_avg/…", "exp_avg_sq/…"), on every rank; and back.
  core::NamedTensors gather(dist::Communicator& comm) const;
  void restore(const std::function<core::Tensor(const std::string&)>& tensor_of, dist::Communicator& comm);

 private:
  void share_weights(UnitState& unit, dist::Communicator& comm);
  model::RewardModel& model_;
  std::vector<FlatLayout> layouts_;
  std::vector<UnitState> units_;
  std::vector<std::vector<bool>> decayed_;       // by unit and parameter
  at::ScalarType master_dtype_;
};

}  // namespace mvrm::train
