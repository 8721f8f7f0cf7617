// SPDX-License-Identifier: Apache-2.0
// N rows of training, T rows to look at, M changed rows, D width, K dimensions.
#include <mvrm/influence/whatif.h>

#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <cmath>
#include <map>
#include <string>

namespace mvrm::influence {

namespace {

// The changes of one dimension, by what they do to the normal equations.
struct Split {
  std::vector<int64_t> moved_rows, counted_rows;   // label replaced; row added to (+1) or taken from (-1) the fit
  std::vector<double> shift, sign, label;          // shift of moved rows; sign and label of counted rows
};

Split split_changes(const at::Tensor& label_N, const std::map<int64_t, std::optional<double>>& changes) {
  Split split;
  for (const auto& [row, label] : changes) {
    const double now = label_N[row].item<double>();
    const bool labelled = std::isfinite(now);
    if (labelled && label) {
      split.moved_rows.push_back(row);
      split.shift.push_back(*label - now);
    } else if (labelled || label) {
      split.counted_rows.push_back(row);
      split.sign.push_back(label ? 1 : -1);
      split.label.push_back(label ? *label : now);
    }
  }
  return split;
}

at::Tensor rows_of(const at::Tensor& feature_ND, const std::vector<int64_t>& rows) {
  return feature_ND.index_select(0, at::tensor(at::ArrayRef<int64_t>(rows), at::kLong)).to(at::kDouble);
}
at::Tensor column(const std::vector<double>& values) { return at::tensor(at::ArrayRef<double>(values), at::kDouble); }

// The change of the rewards of rows T. With B = h_T^T A^-1 h_M, replaced labels move them by B shift; rows counted in or out by
// B (S^-1 + h_M^T A^-1 h_M)^-1 (label - reward), S = diag(sign): Woodbury's identity.
at::Tensor moved_by(const RidgeGroup& group, const Split& split, const at::Tensor& feature_ND, const at::Tensor& weight_D, double bias,
                    const at::Tensor& feature_TD) {
  at::Tensor change_T = at::zeros({feature_TD.size(0)}, at::kDouble), shift_M = at::zeros({static_cast<int64_t>(split.sign.size())}, at::kDouble);
  const at::Tensor counted_MD = split.sign.empty() ? at::Tensor() : rows_of(feature_ND, split.counted_rows);
  if (!split.shift.empty()) {
    const at::Tensor moved_MD = rows_of(feature_ND, split.moved_rows), by = column(split.shift);
    change_T += kernel(group, feature_TD, moved_MD).mv(by);
    if (counted_MD.defined()) shift_M += kernel(group, counted_MD, moved_MD).mv(by);
  }
  if (counted_MD.defined()) {
    const at::Tensor gap_M = column(split.label) - ((counted_MD - group.mean_D).mv(weight_D) + bias + shift_M);
    const at::Tensor system_MM = kernel(group, counted_MD, counted_MD) + at::diag(column(split.sign));
    change_T += kernel(group, feature_TD, counted_MD).mv(at::linalg_solve(system_MM, gap_M));
  }
  return change_T;
}

}  // namespace

WhatIf what_if(const RidgeHead& head, const at::Tensor& feature_ND, const at::Tensor& label_NK, const std::vector<LabelChange>& changes,
               const at::Tensor& feature_TD) {
  std::map<int64_t, std::map<int64_t, std::optional<double>>> by_dimension;
  for (const auto& change : changes) {
    if (change.row < 0 || change.row >= feature_ND.size(0) || change.dimension < 0 || change.dimension >= head.dimensions) {
      throw core::ConfigError("what-if: there is no label at row " + std::to_string(change.row) + ", dimension " + std::to_string(change.dimension));
    }
    if (!by_dimension[change.dimension].emplace(change.row, change.label).second) {
      throw core::ConfigError("what-if: two changes of the label at row " + std::to_string(change.row) + ", dimension " + std::to_string(change.dimension));
    }
  }
  WhatIf result{.before_TK = predict(head, feature_TD), .after_TK = {}};
  result.after_TK = result.before_TK.clone();
  for (const auto& [k, rows] : by_dimension) {
    const RidgeGroup* group = head.group_of(k);
    if (group == nullptr) continue;
    const Split split = split_changes(label_NK.select(1, k).to(at::kDouble), rows);
    double left = static_cast<double>(group->count());
    for (const double sign : split.sign) left += sign;
    if (left < 2) throw core::DataError("what-if: fewer than two labels would be left in dimension " + std::to_string(k));
    const int64_t g = group->place_of(k);
    result.after_TK.select(1, k) += moved_by(*group, split, feature_ND, group->weight_DG.select(1, g), group->label_mean_G[g].item<double>(), feature_TD);
  }
  return result;
}

}  // namespace mvrm::influence
