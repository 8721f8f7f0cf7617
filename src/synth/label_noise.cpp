// SPDX-License-Identifier: Apache-2.0
#include "label_noise.h"

#include <ATen/ATen.h>

namespace mvrm::synth {

std::vector<std::vector<int64_t>> observed_labels(const std::vector<std::vector<int64_t>>& level_NK, const SynthConfig& config) {
  auto observed = level_NK;
  if (level_NK.empty()) return observed;
  const auto rows = static_cast<int64_t>(level_NK.size()), dimensions = static_cast<int64_t>(level_NK.front().size());
  at::Tensor label_NK = at::empty({rows, dimensions}, at::kFloat);
  for (int64_t n = 0; n < rows; ++n) {
    for (int64_t k = 0; k < dimensions; ++k)
      label_NK.mutable_data_ptr<float>()[n * dimensions + k] = static_cast<float>(level_NK[static_cast<size_t>(n)][static_cast<size_t>(k)]);
  }
  const auto planted = refine::plant_noise(label_NK, {.kind = config.noise_kind, .share = config.noise, .seed = config.seed});
  for (int64_t n = 0; n < rows; ++n) {
    for (int64_t k = 0; k < dimensions; ++k)
      observed[static_cast<size_t>(n)][static_cast<size_t>(k)] =
          static_cast<int64_t>(planted.label_NK.const_data_ptr<float>()[n * dimensions + k]);
  }
  return observed;
}

}  // namespace mvrm::synth
