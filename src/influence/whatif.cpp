// SPDX-License-Identifier: Apache-2.0
// N rows of training, T rows to look at, M changed rows, D width, K dimensions.
#include <mvrm/influence/whatif.h>

#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <algorithm>
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

at::Tensor index_of(const std::vector<int64_t>& rows) { return at::tensor(at::ArrayRef<int64_t>(rows), at::kLong); }
at::Tensor column(const std::vector<double>& values) { return at::tensor(at::ArrayRef<double>(values), at::kDouble); }

// All rows that a group's changes touch, solved together: one look at the factor whatever the number of dimensions.
struct Touched {
  std::vector<int64_t> rows;
  at::Tensor feature_MD, solved_DM, kernel_MM;
  Touched(const RidgeGroup& group, const at::Tensor& feature_ND, const std::vector<Split>& splits) {
    for (const auto& split : splits) {
      rows.insert(rows.end(), split.moved_rows.begin(), split.moved_rows.end());
      rows.insert(rows.end(), split.counted_rows.begin(), split.counted_rows.end());
    }
    std::sort(rows.begin(), rows.end());
    rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
    feature_MD = feature_ND.index_select(0, index_of(rows)).to(at::kDouble) - group.mean_D;
    solved_DM = solved(group, feature_MD + group.mean_D);
    kernel_MM = feature_MD.mm(solved_DM) + 1.0 / static_cast<double>(group.count());
  }
  at::Tensor places_of(const std::vector<int64_t>& wanted) const {
    std::vector<int64_t> places;
    for (const int64_t row : wanted) places.push_back(std::lower_bound(rows.begin(), rows.end(), row) - rows.begin());
    return index_of(places);
  }
};

// By how much each touched row is added to the fit. With B = h_t^T A^-1 h_M, replaced labels move rewards by B shift; rows counted in or out by
// B (S^-1 + h_M^T A^-1 h_M)^-1 (label - reward), S = diag(sign): Woodbury's identity.
at::Tensor amounts_of(const Touched& touched, const Split& split, const at::Tensor& weight_D, double mean) {
  at::Tensor amount_M = at::zeros({static_cast<int64_t>(touched.rows.size())}, at::kDouble);
  const at::Tensor moved = touched.places_of(split.moved_rows), counted = touched.places_of(split.counted_rows);
  if (!split.shift.empty()) amount_M.index_add_(0, moved, column(split.shift));
  if (split.sign.empty()) return amount_M;
  const at::Tensor reward_m = touched.feature_MD.index_select(0, counted).mv(weight_D) + mean + touched.kernel_MM.index_select(0, counted).mv(amount_M);
  const at::Tensor system_mm = touched.kernel_MM.index_select(0, counted).index_select(1, counted) + at::diag(column(split.sign));
  amount_M.index_add_(0, counted, at::linalg_solve(system_mm, column(split.label) - reward_m));
  return amount_M;
}

using Changes = std::map<int64_t, std::map<int64_t, std::optional<double>>>;   // dimension, row

Changes by_dimension(const RidgeHead& head, int64_t rows, const std::vector<LabelChange>& changes) {
  Changes sorted;
  for (const auto& change : changes) {
    const std::string place = "row " + std::to_string(change.row) + ", dimension " + std::to_string(change.dimension);
    if (change.row < 0 || change.row >= rows || change.dimension < 0 || change.dimension >= head.dimensions) {
      throw core::ConfigError("what-if: there is no label at " + place);
    }
    if (!sorted[change.dimension].emplace(change.row, change.label).second) throw core::ConfigError("what-if: two changes of the label at " + place);
  }
  return sorted;
}

// A changed row of the head: what is added to the reward of a row h is h weight + bias.
struct Step {
  int64_t dimension;
  at::Tensor weight_D;
  double bias;
};
void add_steps(std::vector<Step>& steps, const RidgeGroup& group, const at::Tensor& feature_ND, const at::Tensor& label_NK, const Changes& changes) {
  std::vector<int64_t> dimensions;
  std::vector<Split> splits;
  for (const int64_t k : group.dimensions) {
    const auto found = changes.find(k);
    if (found == changes.end()) continue;
    dimensions.push_back(k);
    splits.push_back(split_changes(label_NK.select(1, k).to(at::kDouble), found->second));
    double left = static_cast<double>(group.count());
    for (const double sign : splits.back().sign) left += sign;
    if (left < 2) throw core::DataError("what-if: fewer than two labels would be left in dimension number " + std::to_string(k + 1) + ", too few for a head; drop less");
  }
  if (dimensions.empty()) return;
  const Touched touched(group, feature_ND, splits);
  for (size_t i = 0; i < dimensions.size(); ++i) {
    const int64_t g = group.place_of(dimensions[i]);
    const at::Tensor amount_M = amounts_of(touched, splits[i], group.weight_DG.select(1, g), group.label_mean_G[g].item<double>());
    const at::Tensor step_D = touched.solved_DM.mv(amount_M);
    const at::Tensor bias = amount_M.sum() / static_cast<double>(group.count()) - group.mean_D.dot(step_D);
    steps.push_back({.dimension = dimensions[i], .weight_D = step_D, .bias = bias.item<double>()});
  }
}

}  // namespace

FitTable fit_table(const Profile& profile) {
  if (!profile.feature_ND.defined()) throw core::DataError("the profile keeps no features; make it with 'mvrm profile --features f32'");
  const at::Tensor missing_NK = profile.label_NK.isnan().logical_or(profile.done_N.eq(0).unsqueeze(1));
  return {.feature_ND = profile.done_N.all().item<bool>() ? profile.feature_ND : profile.feature_ND.nan_to_num(0),
          .label_NK = profile.label_NK.masked_fill(missing_NK, std::nanf(""))};
}

WhatIf what_if(const RidgeHead& head, const at::Tensor& feature_ND, const at::Tensor& label_NK, const std::vector<LabelChange>& changes,
               const at::Tensor& feature_TD) {
  const Changes sorted = by_dimension(head, feature_ND.size(0), changes);
  std::vector<Step> steps;
  for (const auto& group : head.groups) add_steps(steps, group, feature_ND, label_NK, sorted);
  const LinearHead now = linear_head(head, feature_TD.size(1));
  std::vector<at::Tensor> weights{now.weight_DK}, biases{now.bias_K};
  for (const auto& step : steps) {
    weights.push_back(step.weight_D.unsqueeze(1));
    biases.push_back(at::full({1}, step.bias, at::kDouble));
  }
  const at::Tensor all = linear_rewards(feature_TD, at::cat(weights, 1), at::cat(biases));   // rewards, and what each step adds to them
  WhatIf result{.before_TK = all.narrow(1, 0, head.dimensions).contiguous(), .after_TK = {}};
  result.after_TK = result.before_TK.clone();
  for (size_t i = 0; i < steps.size(); ++i) {
    result.after_TK.select(1, steps[i].dimension) += all.select(1, head.dimensions + static_cast<int64_t>(i));
  }
  return result;
}

}  // namespace mvrm::influence
