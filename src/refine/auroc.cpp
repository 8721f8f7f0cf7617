// SPDX-License-Identifier: Apache-2.0
#include <mvrm/core/error.h>
#include <mvrm/refine/strategy.h>
#include <algorithm>
#include <cmath>
#include <limits>

namespace mvrm::refine {

double auroc(const std::vector<double>& score, const std::vector<uint8_t>& positive) {
  MVRM_CHECK(score.size() == positive.size(), score.size(), " scores for ", positive.size(), " labels");
  std::vector<size_t> order;
  for (size_t i = 0; i < score.size(); ++i) {
    if (!std::isnan(score[i])) order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return score[a] < score[b]; });
  double rank_sum = 0;
  int64_t positives = 0;
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    int64_t tied = 0;
    for (; end < order.size() && score[order[end]] == score[order[begin]]; ++end) tied += positive[order[end]] != 0 ? 1 : 0;
    rank_sum += static_cast<double>(tied) * 0.5 * static_cast<double>(begin + end + 1);  // mid-rank, 1-based
    positives += tied;
    begin = end;
  }
  const auto p = static_cast<double>(positives), n = static_cast<double>(order.size()) - p;
  if (p == 0 || n == 0) return std::numeric_limits<double>::quiet_NaN();
  return (rank_sum - p * (p + 1) / 2) / (p * n);
}

}  // namespace mvrm::refine
