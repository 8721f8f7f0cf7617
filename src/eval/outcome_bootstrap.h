// SPDX-License-Identifier: Apache-2.0
// Bootstrap of right-or-wrong outcomes. Pairs with the same outcomes in every column are one pattern, so a resample costs one count a
// pair, however many columns there are.
#pragma once
#include <mvrm/eval/pairwise_accuracy.h>
#include <cstdint>
#include <vector>

namespace mvrm::eval {

// An outcome is a bit mask: bit k = right in column k; the highest bit marks a pair without preference.
inline constexpr uint64_t kTieBit = uint64_t{1} << 63;
inline constexpr size_t kMaxOutcomeDimensions = 30;

std::vector<uint64_t> outcomes_of(const PairTable& pairs);  // K dimensions, then their mean

struct ResampleOptions {
  int64_t resamples = 1000;
  uint64_t seed = 42;
  int64_t threads = 1;
};
struct OutcomeAccuracies {
  int64_t pairs = 0, pairs_without_ties = 0;
  std::vector<AccuracyInterval> all, without_ties;  // by column
  std::vector<std::vector<double>> draws;           // by column: accuracy over all pairs of each resample
};
OutcomeAccuracies bootstrap_outcomes(const std::vector<uint64_t>& outcomes, size_t columns, const ResampleOptions& options);

}  // namespace mvrm::eval
