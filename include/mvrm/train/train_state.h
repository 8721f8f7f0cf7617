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
  core::Tensor weights;                          // full, model dtype; RewardModel::parameters are views into it. Undefined while freed
  core::Tensor master, exp_avg, exp_avg_sq;      // part, float32 (float64 for a float64 model)
};

class TrainState {
 public:
  // Takes over the model's weights: its parameters become views into the flat buffers. `decayed` says which parameters weight decay touches.
  // `keep_weights` false (several ranks only): a rank holds no more than its part of the weights, and the model has no parameters, except
  // between fetch_weights() and free_weights().
  TrainState(model::RewardModel& model, const dist::Communicator& comm, std::function<bool(const std::string&)> decayed = is_decayed,
             bool keep_weights = true);
  const std::vector<FlatLayout>& layouts() const { return layouts_; }
  std::vector<UnitState>& units() { return units_; }
  const std::vector<UnitState>& units() const { return units_; }
  bool keeps_weights() const { return keep_weights_; }
  core::Tensor weight_part(size_t unit) const;   // model dtype
  std::vector<core::Tensor> views(size_t unit, const core::Tensor& flat) const { return views_of(layouts_[unit], model_.units[unit], flat); }
  bool is_finite() const;                        // of this rank's parts of the weights
  void fetch_weights(dist::Communicator& comm);  // collective; nothing to do where weights are kept
  void free_weights();
  at::TensorOptions gradient_options() const;   // float32 (float64 for a float64 model), where the weights are

  // Global gradient norm of this rank's parts: chunk sums in float64, added in index order, so it does not depend on the number of ranks.
  double global_norm(const Gradients& parts, dist::Communicator& comm) const;
  // Scales `parts` by min(1, clip_norm / (norm + 1e-6)) (0 = no clipping), then one AdamW step (number `step`, from 1) and the exchange
  // of the new weights.
  void update(Gradients& parts, double norm, double lr, int64_t step, const OptimizerConfig& config, dist::Communicator& comm);
  // This rank's parts by name: u000.weight, u000.exp_avg, u000.exp_avg_sq, u001.weight, …; not copied.
  core::NamedTensors parts() const;
  // Fills them: `read(name, begin, out)` copies elements begin, begin + 1, … of the whole flat buffer to `out`, as far as there are any.
  void restore(const std::function<void(const std::string&, int64_t, core::Tensor&)>& read, dist::Communicator& comm);

 private:
  void share_weights(UnitState& unit, dist::Communicator& comm);
  model::RewardModel& model_;
  bool keep_weights_;
  std::vector<FlatLayout> layouts_;
  std::vector<UnitState> units_;
  std::vector<std::vector<bool>> decayed_;       // by unit and parameter
  at::ScalarType master_dtype_;
};

}  // namespace mvrm::train
