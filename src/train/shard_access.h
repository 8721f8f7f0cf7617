// SPDX-License-Identifier: Apache-2.0
// Units over several ranks (spec/training.md 3.1): weights fetched when a unit runs and dropped behind it, gradients handed to the rank
// that keeps their part. All ranks walk the units in step, so every call is a collective.
#pragma once
#include <deque>
#include <mvrm/train/reduction.h>
#include <mvrm/train/train_state.h>

namespace mvrm::train {

struct ShardOptions {
  bool reduce_each = false;   // false: gradients go to `into` whole; true: this rank's part of the sum over ranks does
  bool ordered = true;
};

// Fetches one unit ahead and lets at most two sums be under way. `into`: per objective and unit, zeros of the unit's full length, or of
// its part. One pass a time; finish() behind each.
class ShardAccess : public UnitAccess {
 public:
  ShardAccess(const TrainState& state, const ShardOptions& options, Gradients& into, dist::Communicator& comm);
  std::vector<core::Tensor> parameters(size_t unit) override;
  void announce(size_t unit) override;
  void release(size_t unit) override;
  core::Tensor gradient(size_t objective, size_t unit) override;
  void finished(size_t unit) override;
  void finish();

 private:
  struct Fetched {
    core::Tensor part, full;
    dist::Ticket arrived;
  };
  void add_oldest();
  const TrainState& state_;
  ShardOptions options_;
  Gradients& into_;
  dist::Communicator& comm_;
  std::vector<std::optional<Fetched>> fetched_;                   // by unit
  std::vector<core::Tensor> scratch_;                             // of the unit under way, by objective
  std::deque<std::pair<size_t, PendingSum>> pending_;             // index into `into`
};

}  // namespace mvrm::train
