// SPDX-License-Identifier: Apache-2.0
// Which frames of a clip the model sees (spec/videoscore.md 2.11-2.13).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace mvrm::video {

// all: every frame (training). linspace: exactly max_frames, trunc(i*(n-1)/(max-1)), repeats for short clips (evaluation script).
// stride: all when n <= max, else trunc(i*n/max) (demo script). Both with numpy's float64 roundings.
enum class Sampling { all, linspace, stride };
Sampling sampling_from_name(const std::string& name);   // throws ConfigError listing the names
std::string name_of(Sampling sampling);

// Ascending indices into 0..total-1. total >= 1 and max_frames >= 1, else Error.
std::vector<int64_t> sample_indices(Sampling sampling, int64_t total, int64_t max_frames);

}  // namespace mvrm::video
