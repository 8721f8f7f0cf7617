// SPDX-License-Identifier: Apache-2.0
// Which labels are corrupted, and to what.
#pragma once
#include <mvrm/synth/synth.h>

namespace mvrm::synth {

// level_NK with round(noise * N) labels of every dimension replaced, chosen independently per dimension (refine/noise.h).
std::vector<std::vector<int64_t>> observed_labels(const std::vector<std::vector<int64_t>>& level_NK, const SynthConfig& config);

}  // namespace mvrm::synth
