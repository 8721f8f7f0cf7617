// SPDX-License-Identifier: Apache-2.0
// Random initial parameters, each a pure function of (seed, name): adding a tensor changes no other.
#pragma once
#include <mvrm/model/unit.h>

namespace mvrm::model {

// Norm weights 1, biases 0, everything else N(0, initializer_range); the padding row of the token embedding is 0. Latents are drawn too:
// Hugging Face's ones would keep all latents equal for good.
core::Tensor initial_parameter(const ParameterSpec& spec, const ModelConfig& config, at::ScalarType dtype, uint64_t seed);

}  // namespace mvrm::model
