// SPDX-License-Identifier: Apache-2.0
// The parameters of one unit in one flat buffer: what the optimiser, the communicator and the checkpoints work on.
#pragma once
#include <mvrm/core/tensor.h>
#include <mvrm/model/unit.h>
#include <vector>

namespace mvrm::train {

// Where a unit's parameters lie in its flat buffer, in elements. Every parameter starts on a 64-byte border (MKL's results may depend on
// alignment); the whole is a multiple of kChunk elements, so that it splits evenly over up to 8 ranks and norms are summed by chunks.
struct FlatLayout {
  std::vector<int64_t> offset, length;
  int64_t total = 0;
};
inline constexpr int64_t kChunk = 1024;
FlatLayout layout_of(const model::Unit& unit, int64_t ranks);

core::Tensor flatten(const FlatLayout& layout, const std::vector<core::Tensor>& tensors, at::ScalarType dtype);
// Views into `flat`, shaped as the unit's parameters.
std::vector<core::Tensor> views_of(const FlatLayout& layout, const model::Unit& unit, const core::Tensor& flat);
// 1 where weight decay applies (spec/videoscore.md 4.4: neither biases nor LayerNorm weights), 0 elsewhere; RMSNorm weights are decayed.
bool is_decayed(const std::string& parameter_name);

}  // namespace mvrm::train
