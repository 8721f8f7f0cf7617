// SPDX-License-Identifier: Apache-2.0
#include "step_log.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <mvrm/core/error.h>

namespace mvrm::train {

StepLog::StepLog(const StepBatch& step, int64_t dimensions)
    : step_(step), columns_{dimensions}, table_NC_(at::zeros({static_cast<int64_t>(step.samples.size()) + 1, columns_.count()}, at::kDouble)) {}

void StepLog::write(int64_t slot, const LoadedSlot& loaded, const MicroLoss& loss) {
  const at::Tensor norm_B1 = loss.feature_BD.to(at::kDouble).square().sum(1, true);
  at::Tensor line_BC = at::cat({at::ones_like(norm_B1), loss.row_BC, loss.reward_BK.to(at::kDouble), norm_B1,
                                model::to_device(loaded.work_B2, norm_B1.device())}, 1);
  MVRM_CHECK(line_BC.size(1) == columns_.count(), "a log of ", line_BC.size(1), " columns");
  if (line_BC.is_cpu()) copy_lines(slot, loaded.rows, line_BC);
  else waiting_.push_back({.slot = slot, .rows = loaded.rows, .line_BC = std::move(line_BC)});
}

core::Tensor& StepLog::table() {
  for (const auto& [slot, rows, line_BC] : waiting_) copy_lines(slot, rows, line_BC.cpu());
  waiting_.clear();
  return table_NC_;
}

void StepLog::copy_lines(int64_t slot, const std::vector<int64_t>& rows, const core::Tensor& line_BC) {
  const std::vector<int64_t> wanted = step_.of_slot(slot);
  const int64_t count = columns_.count();
  size_t row = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (row == rows.size() || wanted[i] != rows[row]) continue;   // a bad sample
    double* to = table_NC_.mutable_data_ptr<double>() + (slot * step_.micro_batch + static_cast<int64_t>(i)) * count;
    std::copy_n(line_BC.const_data_ptr<double>() + static_cast<int64_t>(row++) * count, count, to);
  }
}

}  // namespace mvrm::train
