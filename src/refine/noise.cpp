// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/random.h>
#include <mvrm/refine/noise.h>
#include <algorithm>
#include <cmath>
#include <set>

namespace mvrm::refine {

namespace {

struct Named {
  const char* name;
  NoiseKind kind;
};
constexpr Named kNames[] = {{"uniform_other", NoiseKind::uniform_other}, {"uniform_any", NoiseKind::uniform_any},
                            {"strict", NoiseKind::strict},               {"farthest", NoiseKind::farthest},
                            {"reversed", NoiseKind::reversed},           {"adjacent", NoiseKind::adjacent}};

size_t place_of(double label, const std::vector<double>& levels) {
  const auto found = std::find(levels.begin(), levels.end(), label);
  if (found == levels.end()) throw core::DataError("label " + std::to_string(label) + " is none of the levels that noise is planted on");
  return static_cast<size_t>(found - levels.begin());
}

size_t corrupt_place(size_t place, size_t count, NoiseKind kind, double draw) {
  const size_t last = count - 1;
  switch (kind) {
    case NoiseKind::uniform_other: {
      const auto other = static_cast<size_t>(draw * static_cast<double>(last));
      return other < place ? other : other + 1;
    }
    case NoiseKind::uniform_any: return static_cast<size_t>(draw * static_cast<double>(count));
    case NoiseKind::strict: return place > 0 ? 0 : 1;  // under-scored; a label that is lowest already can only go up
    case NoiseKind::farthest: return place < count / 2 ? last : 0;
    case NoiseKind::reversed: return last - place;
    case NoiseKind::adjacent: return place == 0 ? 1 : place == last ? last - 1 : draw < 0.5 ? place - 1 : place + 1;
  }
  return place;
}

void check(const NoiseConfig& config) {
  if (!(config.share >= 0 && config.share <= 1)) throw core::ConfigError("noise share: must be between 0 and 1, got " + std::to_string(config.share));
  const auto& levels = config.levels;
  if (levels.size() < 2) throw core::ConfigError("noise: all labels are equal, so none can be planted for another; it takes data with at least two different labels");
  if (!std::is_sorted(levels.begin(), levels.end()) ||
      std::adjacent_find(levels.begin(), levels.end()) != levels.end()) {
    throw core::ConfigError("noise levels: must be different values in ascending order");
  }
}

}  // namespace

NoiseKind noise_kind_from_name(const std::string& name) {
  for (const auto& entry : kNames) {
    if (name == entry.name) return entry.kind;
  }
  throw core::ConfigError("unknown noise kind '" + name + "'; known: " + noise_kind_names());
}

std::string name_of(NoiseKind kind) {
  for (const auto& entry : kNames) {
    if (kind == entry.kind) return entry.name;
  }
  return "";
}

std::string noise_kind_names() {
  std::string names;
  for (const auto& entry : kNames) names += (names.empty() ? "" : ", ") + std::string(entry.name);
  return names;
}

double corrupt_label(double label, const NoiseConfig& config, double draw) {
  return config.levels[corrupt_place(place_of(label, config.levels), config.levels.size(), config.kind, draw)];
}

PlantedNoise plant_noise(const at::Tensor& label_NK, const NoiseConfig& config) {
  check(config);
  PlantedNoise planted{.label_NK = label_NK.to(at::kFloat).clone().contiguous(), .corrupted_NK = at::zeros(label_NK.sizes(), at::kByte)};
  const int64_t rows = label_NK.size(0), dimensions = label_NK.size(1);
  auto* label = planted.label_NK.mutable_data_ptr<float>();
  auto* corrupted = planted.corrupted_NK.mutable_data_ptr<uint8_t>();
  for (int64_t k = 0; k < dimensions; ++k) {
    core::CounterRng rng(config.seed, core::combine64(core::hash64("label noise"), static_cast<uint64_t>(k)));
    std::vector<std::pair<uint64_t, int64_t>> key;
    int64_t labelled = 0;
    for (int64_t n = 0; n < rows; ++n) {
      const uint64_t draw = rng.next();
      const float value = label[n * dimensions + k];
      if (std::isnan(value)) continue;
      ++labelled;
      // Strict annotators lower labels: only those above the lowest can be lowered.
      if (config.kind != NoiseKind::strict || place_of(value, config.levels) > 0) key.emplace_back(draw, n);
    }
    std::sort(key.begin(), key.end());
    const auto count = std::min(key.size(), static_cast<size_t>(std::llround(config.share * static_cast<double>(labelled))));
    for (size_t i = 0; i < count; ++i) {
      const int64_t cell = key[i].second * dimensions + k;
      const auto wrong = static_cast<float>(corrupt_label(label[cell], config, rng.uniform()));
      corrupted[cell] = wrong != label[cell] ? 1 : 0;
      label[cell] = wrong;
    }
  }
  return planted;
}

std::vector<double> levels_of(const at::Tensor& label_NK, size_t most) {
  const at::Tensor label = label_NK.to(at::kDouble).contiguous();
  std::set<double> levels;
  for (int64_t i = 0; i < label.numel(); ++i) {
    const double value = label.const_data_ptr<double>()[i];
    if (!std::isnan(value)) levels.insert(value);
    if (levels.size() > most) throw core::DataError("labels have more than " + std::to_string(most) + " different values; noise is planted on levels");
  }
  return {levels.begin(), levels.end()};
}

}  // namespace mvrm::refine
