// SPDX-License-Identifier: Apache-2.0
// Planted label errors (spec/influence.md 3, row 10): labels of known places are made wrong on purpose, to measure how well a risk finds
// them. Pure functions of labels and a seed. Not here: clips (synth), and the errors that people made.
#pragma once
#include <mvrm/core/tensor.h>
#include <string>
#include <vector>

namespace mvrm::refine {

// With the levels 1..4: uniform_other draws one of the three others; uniform_any draws one of the four, so a quarter stays as it was;
// strict gives 1 (only labels above 1 are chosen); farthest gives 4 for 1 and 2, else 1; reversed gives 5 - label; adjacent moves by one.
enum class NoiseKind { uniform_other, uniform_any, strict, farthest, reversed, adjacent };
NoiseKind noise_kind_from_name(const std::string& name);  // throws ConfigError listing the names
std::string name_of(NoiseKind kind);
std::string noise_kind_names();                           // for help texts: "uniform_other, uniform_any, …"

struct NoiseConfig {
  NoiseKind kind = NoiseKind::uniform_other;
  double share = 0.1;                           // of the labels of every dimension, 0..1
  uint64_t seed = 42;
  std::vector<double> levels = {1, 2, 3, 4};    // the values a label can have, ascending, at least two
};

// The label after corruption; `draw` in [0, 1). Another value than `label`, except by uniform_any and for the middle of an odd number of
// levels by reversed. Throws DataError when `label` is none of the levels.
double corrupt_label(double label, const NoiseConfig& config, double draw);

struct PlantedNoise {
  core::Tensor label_NK;      // float32
  core::Tensor corrupted_NK;  // uint8, 1 where the label changed
};
// Chooses round(share * labels) labels of every dimension, independently by dimension, and corrupts them. NaN stays NaN. A draw belongs to
// (seed, dimension, row), so equal seeds give equal choices.
PlantedNoise plant_noise(const core::Tensor& label_NK, const NoiseConfig& config);

// The distinct labels of a table, ascending. Throws DataError when there are more than `most`: then labels are measurements, not levels.
std::vector<double> levels_of(const core::Tensor& label_NK, size_t most = 32);

}  // namespace mvrm::refine
