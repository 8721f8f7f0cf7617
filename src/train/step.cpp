// SPDX-License-Identifier: Apache-2.0
// N samples of a step, B of a micro-batch, K evaluation dimensions, C = 2 + 2K columns of the log.
#include "step.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <mvrm/core/error.h>

namespace mvrm::train {

std::vector<int64_t> StepBatch::of_slot(int64_t slot) const {
  const auto begin = static_cast<size_t>(slot * micro_batch), end = std::min(begin + static_cast<size_t>(micro_batch), samples.size());
  return {samples.begin() + static_cast<std::ptrdiff_t>(begin), samples.begin() + static_cast<std::ptrdiff_t>(end)};
}

namespace {

// Computes one micro-batch: its gradients, and its samples' rows of the log (1 = used, then MicroLoss::row_BC).
Gradients compute_slot(const StepResources& with, const StepBatch& step, int64_t slot, at::Tensor& log_NC) {
  Gradients gradients = zero_gradients(with.state.layouts(), with.state.gradient_options());
  const std::vector<int64_t> wanted = step.of_slot(slot);
  LoadedBatch loaded = with.samples.load(wanted);
  if (loaded.rows.empty()) return gradients;
  const MicroBatch micro{.batch = std::move(loaded.batch),
                         .weight_BK = with.samples.weight_NK.index_select(0, at::tensor(at::ArrayRef<int64_t>(loaded.rows), at::kLong)),
                         .divisor = static_cast<double>(step.samples.size()) * static_cast<double>(with.samples.weight_NK.size(1))};
  const MicroLoss loss = forward_backward(with.model.config, with.model.units, with.state.layouts(), with.model.parameters, micro,
                                          {.dtype = with.model.dtype, .recompute = with.recompute}, gradients);
  const int64_t columns = log_NC.size(1);
  const double* from = loss.row_BC.const_data_ptr<double>();
  size_t row = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (row == loaded.rows.size() || wanted[i] != loaded.rows[row]) continue;   // a bad sample
    double* to = log_NC.mutable_data_ptr<double>() + (slot * step.micro_batch + static_cast<int64_t>(i)) * columns;
    *to = 1;
    std::copy_n(from + static_cast<int64_t>(row++) * (columns - 1), columns - 1, to + 1);
  }
  return gradients;
}

// Sums in the order of the samples: independent of ranks and micro-batches. Each row was written by one rank, so the exchange is exact.
void read_log(const at::Tensor& log_NC, const StepBatch& step, StepOutcome& outcome) {
  const auto columns = static_cast<size_t>(log_NC.size(1)), dimensions = (columns - 2) / 2;
  std::vector<double> sum(columns, 0.0);
  const double* row = log_NC.const_data_ptr<double>();
  for (const int64_t sample : step.samples) {
    for (size_t c = 0; c < columns; ++c) sum[c] += row[c];
    if (!std::isfinite(row[1])) outcome.not_finite.push_back(sample);
    row += columns;
  }
  outcome.used = static_cast<int64_t>(sum[0]);
  outcome.loss = outcome.used == 0 ? 0.0 : sum[1] / (sum[0] * static_cast<double>(dimensions));
  for (size_t k = 0; k < dimensions; ++k) {
    const double count = sum[2 + dimensions + k];
    outcome.loss_K.push_back(count > 0 ? sum[2 + k] / count : 0.0);
  }
}

}  // namespace

StepOutcome compute_step(const StepResources& with, const StepBatch& step, const std::function<bool()>& stop) {
  const auto count = static_cast<int64_t>(step.samples.size());
  TreeSum tree(step.slots(), with.comm.rank(), with.comm.size());
  // The last row carries what the ranks have to agree on.
  at::Tensor log_NC = at::zeros({count + 1, 2 + 2 * with.samples.weight_NK.size(1)}, at::kDouble);
  std::atomic<int64_t> next{0};
  with.pool.run([&] {
    try {
      for (int64_t position = next++; position < tree.count(); position = next++) {
        const int64_t leaf = tree.leaf_at(position);
        tree.add(leaf, compute_slot(with, step, with.comm.rank() + leaf * with.comm.size(), log_NC));
      }
    } catch (...) {
      next = tree.count();   // the other workers need not begin another one
      throw;
    }
  });
  const Gradients sum = tree.take(tree.count() == 0 ? zero_gradients(with.state.layouts(), with.state.gradient_options()) : Gradients{});

  StepOutcome outcome;
  log_NC.mutable_data_ptr<double>()[count * log_NC.size(1)] = stop() ? 1.0 : 0.0;
  with.comm.all_reduce_sum(log_NC);
  outcome.stop = log_NC.const_data_ptr<double>()[count * log_NC.size(1)] > 0;
  read_log(log_NC, step, outcome);
  for (const auto& flat : sum) {
    outcome.gradient_parts.push_back(reduce_scatter(flat, with.ordered, with.comm));
    // Bad samples fall out of the divisor too.
    if (outcome.used > 0 && outcome.used < count) outcome.gradient_parts.back().mul_(static_cast<double>(count) / static_cast<double>(outcome.used));
  }
  return outcome;
}

}  // namespace mvrm::train
