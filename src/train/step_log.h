// SPDX-License-Identifier: Apache-2.0
// What a step's micro-batches leave behind of every sample, in one table that ranks can add up: each row is written by one of them.
// N samples of the step, C columns.
#pragma once
#include "slot_loader.h"

#include <mvrm/core/tensor.h>
#include <mvrm/train/engine.h>
#include <vector>

namespace mvrm::train {

// Used (0 or 1), loss, residual^2 by dimension, labelled by dimension, reward by dimension, ||feature||^2, tokens, operations of a forward
// pass.
struct LogColumns {
  int64_t dimensions;
  int64_t loss() const { return 1; }
  int64_t square() const { return 2; }
  int64_t labelled() const { return 2 + dimensions; }
  int64_t reward() const { return 2 + 2 * dimensions; }
  int64_t norm() const { return 2 + 3 * dimensions; }
  int64_t tokens() const { return 3 + 3 * dimensions; }
  int64_t flops() const { return 4 + 3 * dimensions; }
  int64_t count() const { return 5 + 3 * dimensions; }
};

class StepLog {
 public:
  StepLog(const StepBatch& step, int64_t dimensions);
  // From several threads for different slots on the CPU, from one where numbers lie on a GPU: those are fetched by table().
  void write(int64_t slot, const LoadedSlot& loaded, const MicroLoss& loss);
  // [N + 1, C], float64 on the CPU; the last row is the caller's, to agree on something with the other ranks.
  core::Tensor& table();
  LogColumns columns() const { return columns_; }

 private:
  struct Waiting { int64_t slot; std::vector<int64_t> rows; core::Tensor line_BC; };
  void copy_lines(int64_t slot, const std::vector<int64_t>& rows, const core::Tensor& line_BC);
  const StepBatch& step_;
  LogColumns columns_;
  core::Tensor table_NC_;
  std::vector<Waiting> waiting_;       // lines on a GPU: to look at them would be to wait for it
};

}  // namespace mvrm::train
