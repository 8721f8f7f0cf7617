// SPDX-License-Identifier: Apache-2.0
// What the refitted head (leverage.h) would say if some labels were dropped, changed or added: an exact rank-m change of the fit, no
// refitting. Parameter space: the head; the penalty stays as it is.
#pragma once
#include <mvrm/influence/leverage.h>
#include <mvrm/influence/profile.h>
#include <optional>
#include <vector>

namespace mvrm::influence {

// What the head of a profile is fitted to: rows that were not computed have features of 0 and no labels. Throws DataError without features.
struct FitTable {
  core::Tensor feature_ND, label_NK;
};
FitTable fit_table(const Profile& profile);

struct LabelChange {
  int64_t row = 0, dimension = 0;
  std::optional<double> label;   // nullopt: the label is dropped; a number replaces it, or adds one where none was
};
// Rewards of the refitted head on `feature_TD`, float64 [T,K].
struct WhatIf {
  core::Tensor before_TK, after_TK;
};
// `head` was fitted to (feature_ND, label_NK). Dropping a label that is not there changes nothing. Cost: one triangular solve of all
// changed rows, an m x m system a dimension, and one pass over feature_TD. Throws ConfigError for a row or dimension out of range or two changes of one label, DataError when fewer than two
// labels of a dimension would be left.
WhatIf what_if(const RidgeHead& head, const core::Tensor& feature_ND, const core::Tensor& label_NK, const std::vector<LabelChange>& changes,
               const core::Tensor& feature_TD);

}  // namespace mvrm::influence
