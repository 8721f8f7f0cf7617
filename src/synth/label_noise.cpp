// SPDX-License-Identifier: Apache-2.0
// Planted label errors (spec/influence.md 3): exactly a share of the labels of each dimension, always to another value.
#include "label_noise.h"

#include <algorithm>
#include <cmath>
#include <mvrm/core/error.h>
#include <mvrm/core/random.h>
#include <numeric>

namespace mvrm::synth {

namespace {

struct Named { const char* name; NoiseKind kind; };
constexpr Named kNames[] = {{"uniform_other", NoiseKind::uniform_other}, {"strict", NoiseKind::strict}, {"farthest", NoiseKind::farthest},
                            {"reversed", NoiseKind::reversed}, {"adjacent", NoiseKind::adjacent}};

}  // namespace

NoiseKind noise_kind_from_name(const std::string& name) {
  std::string known;
  for (const auto& entry : kNames) {
    if (name == entry.name) return entry.kind;
    known += (known.empty() ? "" : ", ");
    known += entry.name;
  }
  throw core::ConfigError("unknown noise kind '" + name + "'; known: " + known);
}

std::string name_of(NoiseKind kind) {
  for (const auto& entry : kNames) {
    if (kind == entry.kind) return entry.name;
  }
  return "";
}

int64_t corrupt_label(int64_t level, NoiseKind kind, double draw) {
  switch (kind) {
    case NoiseKind::uniform_other: {
      const auto other = 1 + static_cast<int64_t>(draw * 3.0);
      return other < level ? other : other + 1;
    }
    case NoiseKind::strict: return level > 1 ? 1 : 2;   // under-scored; a label that is 1 already can only go up
    case NoiseKind::farthest: return level <= 2 ? 4 : 1;
    case NoiseKind::reversed: return 5 - level;
    case NoiseKind::adjacent: return level == 1 ? 2 : level == 4 ? 3 : draw < 0.5 ? level - 1 : level + 1;
  }
  return level;
}

std::vector<std::vector<int64_t>> observed_labels(const std::vector<std::vector<int64_t>>& level_NK, const SynthConfig& config) {
  auto observed = level_NK;
  const size_t dimensions = level_NK.empty() ? 0 : level_NK.front().size();
  for (size_t k = 0; k < dimensions; ++k) {
    core::CounterRng rng(config.seed, core::combine64(core::hash64("label noise"), k));
    std::vector<std::pair<uint64_t, size_t>> key;
    for (size_t n = 0; n < level_NK.size(); ++n) {
      const uint64_t draw = rng.next();
      // Strict annotators lower labels: only those above 1 can be lowered.
      if (config.noise_kind != NoiseKind::strict || level_NK[n][k] > 1) key.emplace_back(draw, n);
    }
    std::sort(key.begin(), key.end());
    const auto count = std::min(key.size(), static_cast<size_t>(std::llround(config.noise * static_cast<double>(level_NK.size()))));
    for (size_t i = 0; i < count; ++i) {
      const size_t n = key[i].second;
      observed[n][k] = corrupt_label(level_NK[n][k], config.noise_kind, rng.uniform());
    }
  }
  return observed;
}

}  // namespace mvrm::synth
