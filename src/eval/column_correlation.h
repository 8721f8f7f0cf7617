// SPDX-License-Identifier: Apache-2.0
// Rank correlations of columns that are sorted already; both columns have the same rows, at least two.
#pragma once
#include <mvrm/eval/rank_correlation.h>

#include "ranked_column.h"

namespace mvrm::eval {

Correlation spearman(const RankedColumn& a, const RankedColumn& b);
Correlation kendall(const RankedColumn& a, const RankedColumn& b);

}  // namespace mvrm::eval
