// SPDX-License-Identifier: Apache-2.0
#include "gain.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mvrm/core/error.h>
#include <mvrm/core/random.h>
#include <mvrm/eval/compare.h>
#include <numeric>

namespace mvrm::experiment {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr uint64_t kBootstrapSeed = 42;

// Claimed only where both intervals leave 0 out.
std::string verdict_of(const Gain& gain) {
  const std::string by_seed = verdict(gain.by_seed);
  if (std::isnan(gain.low)) return by_seed;
  const bool clips_agree = (by_seed == "helps" && gain.low > 0) || (by_seed == "hurts" && gain.high < 0);
  return by_seed == "helps" || by_seed == "hurts" ? (clips_agree ? by_seed : "no difference shown") : by_seed;
}

// One value a question: of each of its seeds when they share the questions, else all seeds behind each other.
std::vector<double> by_question(const std::vector<std::vector<double>>& difference, bool same_questions) {
  std::vector<double> values;
  if (!same_questions) {
    for (const auto& seed : difference) values.insert(values.end(), seed.begin(), seed.end());
    return values;
  }
  values.assign(difference.front().size(), 0);
  for (const auto& seed : difference) {
    MVRM_CHECK(seed.size() == values.size(), "seeds answered ", values.size(), " and ", seed.size(), " questions");
    for (size_t i = 0; i < seed.size(); ++i) values[i] += seed[i] / static_cast<double>(difference.size());
  }
  return values;
}

}  // namespace

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

Gain spearman_gain(const std::vector<const eval::Predictions*>& baseline, const std::vector<const eval::Predictions*>& method, int64_t resamples) {
  std::vector<eval::ComparedRun> runs;
  std::vector<double> differences;
  for (size_t s = 0; s < baseline.size(); ++s) {
    runs.push_back({baseline[s], method[s]});
    const auto one = eval::compare_spearman(*baseline[s], *method[s], {.resamples = 1});
    differences.push_back(one.mean.difference);
  }
  const auto all = eval::compare_spearman(runs, {.resamples = resamples, .seed = kBootstrapSeed});
  Gain gain{.by_seed = summarise(differences), .low = all.mean.low, .high = all.mean.high, .p_value = all.mean.p_value, .verdict = {}};
  gain.verdict = verdict_of(gain);
  return gain;
}

Gain accuracy_gain(const std::vector<std::vector<double>>& difference, bool same_questions, int64_t resamples) {
  std::vector<double> by_seed;
  for (const auto& seed : difference) by_seed.push_back(mean_of(seed));
  const std::vector<double> values = by_question(difference, same_questions);
  const auto n = static_cast<int64_t>(values.size());
  std::vector<double> means;
  for (int64_t b = 0; b < resamples; ++b) {
    core::CounterRng rng(kBootstrapSeed, core::combine64(core::hash64("paired accuracy"), static_cast<uint64_t>(b)));
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += values[static_cast<size_t>(rng.below(n))];
    means.push_back(sum / static_cast<double>(n));
  }
  std::sort(means.begin(), means.end());
  const auto at = [&](double share) { return means[static_cast<size_t>(std::llround(share * static_cast<double>(resamples - 1)))]; };
  const auto up = std::count_if(means.begin(), means.end(), [](double x) { return x >= 0; });
  const auto down = std::count_if(means.begin(), means.end(), [](double x) { return x <= 0; });
  Gain gain{.by_seed = summarise(by_seed), .low = at(0.025), .high = at(0.975),
            .p_value = std::min(1.0, 2 * (static_cast<double>(std::min(up, down)) + 1) / (static_cast<double>(resamples) + 1)), .verdict = {}};
  gain.verdict = verdict_of(gain);
  return gain;
}

Gain seed_gain(const std::vector<double>& baseline, const std::vector<double>& method) {
  Gain gain{.by_seed = paired_difference(method, baseline), .low = kNan, .high = kNan, .p_value = kNan, .verdict = {}};
  gain.verdict = verdict_of(gain);
  return gain;
}

}  // namespace mvrm::experiment
