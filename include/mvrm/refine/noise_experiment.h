// SPDX-License-Identifier: Apache-2.0
// The planted-noise experiment on kept features: labels are corrupted in known places, the linear head is refitted to them, and risks are
// asked to find the places. Minutes of a full experiment in a second; a profile of a model trained on noisy labels goes straight to detect().
#pragma once
#include <mvrm/refine/detection.h>
#include <mvrm/refine/noise.h>
#include <string>
#include <utility>
#include <vector>

namespace mvrm::refine {

struct NoiseExperiment {
  influence::Profile profile;                                              // of the refitted head, with the corrupted labels
  core::Tensor corrupted_NK;                                               // uint8
  std::vector<double> residual_deviation_K;                                // of the refitted head on labels that were left alone
  std::vector<std::pair<std::string, std::vector<Detection>>> detection;   // by risk, in the order of risks()
};
// Throws DataError when the profile keeps no features or a label is none of config.levels.
NoiseExperiment noise_experiment(const influence::Profile& profile, const NoiseConfig& config, const std::vector<int64_t>& counts = {});

}  // namespace mvrm::refine
