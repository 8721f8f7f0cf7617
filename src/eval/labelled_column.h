// SPDX-License-Identifier: Apache-2.0
// One dimension of a table of predictions: the rows that have both a label and a finite reward, sorted once.
#pragma once
#include <mvrm/eval/predictions.h>
#include <cstdint>
#include <string>
#include <vector>

#include "ranked_column.h"

namespace mvrm::eval {

struct LabelledColumn {
  std::vector<double> reward, label;
  std::vector<uint32_t> rows;  // in the table
};
// `reward_NK` and `label_NK`: contiguous float64.
LabelledColumn labelled_column(const core::Tensor& reward_NK, const core::Tensor& label_NK, size_t k);
// Why a correlation of this column is undefined; empty when it is defined.
std::string undefined_reason(const LabelledColumn& column);

}  // namespace mvrm::eval
