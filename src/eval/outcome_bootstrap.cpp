// SPDX-License-Identifier: Apache-2.0
#include "outcome_bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "resampling.h"

namespace mvrm::eval {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Patterns {
  std::vector<uint64_t> mask;
  std::vector<uint32_t> of_pair;
};

Patterns patterns_of(const std::vector<uint64_t>& outcomes) {
  Patterns patterns;
  std::unordered_map<uint64_t, uint32_t> index;
  for (const uint64_t outcome : outcomes) {
    const auto [entry, fresh] = index.emplace(outcome, static_cast<uint32_t>(patterns.mask.size()));
    if (fresh) patterns.mask.push_back(outcome);
    patterns.of_pair.push_back(entry->second);
  }
  return patterns;
}

struct Accuracy {
  double all, without_ties;
};

Accuracy accuracy_of(const Patterns& patterns, const std::vector<int64_t>& count, size_t column) {
  int64_t right = 0, total = 0, right_untied = 0, untied = 0;
  for (size_t i = 0; i < count.size(); ++i) {
    const bool is_right = (patterns.mask[i] >> column & 1) != 0, is_tie = (patterns.mask[i] & kTieBit) != 0;
    total += count[i];
    right += is_right ? count[i] : 0;
    untied += is_tie ? 0 : count[i];
    right_untied += is_right && !is_tie ? count[i] : 0;
  }
  const auto ratio = [](int64_t part, int64_t whole) { return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : kNan; };
  return {ratio(right, total), ratio(right_untied, untied)};
}

}  // namespace

OutcomeAccuracies bootstrap_outcomes(const std::vector<uint64_t>& outcomes, size_t columns, const ResampleOptions& options) {
  const Patterns patterns = patterns_of(outcomes);
  const auto resamples = static_cast<size_t>(options.resamples);
  std::vector<std::vector<double>> without_ties(columns, std::vector<double>(resamples));
  OutcomeAccuracies result{.pairs = static_cast<int64_t>(outcomes.size()), .draws = without_ties};
  std::vector<int64_t> whole(patterns.mask.size(), 0);
  for (const uint32_t pattern : patterns.of_pair) ++whole[pattern];
  for (size_t i = 0; i < whole.size(); ++i) result.pairs_without_ties += (patterns.mask[i] & kTieBit) != 0 ? 0 : whole[i];
  for_each_resample(outcomes.size(), options.resamples, options.seed, options.threads, [&](int64_t b, const RowCounts& counts) {
    std::vector<int64_t> count(patterns.mask.size(), 0);
    for (size_t p = 0; p < counts.size(); ++p) count[patterns.of_pair[p]] += counts[p];
    for (size_t k = 0; k < columns; ++k) {
      const Accuracy accuracy = accuracy_of(patterns, count, k);
      result.draws[k][static_cast<size_t>(b)] = accuracy.all;
      without_ties[k][static_cast<size_t>(b)] = accuracy.without_ties;
    }
  });
  for (size_t k = 0; k < columns; ++k) {
    const Accuracy accuracy = accuracy_of(patterns, whole, k);
    const auto [low, high] = interval(result.draws[k]);
    const auto [low_untied, high_untied] = interval(without_ties[k]);
    result.all.push_back({accuracy.all, low, high});
    result.without_ties.push_back({accuracy.without_ties, low_untied, high_untied});
  }
  return result;
}

}  // namespace mvrm::eval
