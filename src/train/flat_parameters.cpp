// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/train/flat_parameters.h>

namespace mvrm::train {

FlatLayout layout_of(const model::Unit& unit, int64_t ranks) {
  constexpr int64_t kAlign = 32;   // elements: 64 bytes in bfloat16, more in wider types
  FlatLayout layout;
  for (const auto& parameter : unit.parameters) {
    int64_t count = 1;
    for (const int64_t side : parameter.shape) count *= side;
    layout.offset.push_back(layout.total);
    layout.length.push_back(count);
    layout.total += (count + kAlign - 1) / kAlign * kAlign;
  }
  const int64_t step = kChunk * ranks;
  layout.total = (layout.total + step - 1) / step * step;
  return layout;
}

core::Tensor flatten(const FlatLayout& layout, const std::vector<core::Tensor>& tensors, at::ScalarType dtype) {
  MVRM_CHECK(tensors.size() == layout.offset.size(), tensors.size(), " tensors for ", layout.offset.size(), " parameters");
  core::Tensor flat = at::zeros({layout.total}, tensors.front().options().dtype(dtype));
  for (size_t i = 0; i < tensors.size(); ++i) flat.slice(0, layout.offset[i], layout.offset[i] + layout.length[i]).copy_(tensors[i].flatten());
  return flat;
}

std::vector<core::Tensor> views_of(const FlatLayout& layout, const model::Unit& unit, const core::Tensor& flat) {
  std::vector<core::Tensor> views;
  for (size_t i = 0; i < unit.parameters.size(); ++i) {
    views.push_back(flat.slice(0, layout.offset[i], layout.offset[i] + layout.length[i]).view(unit.parameters[i].shape));
  }
  return views;
}

bool is_decayed(const std::string& name) {
  if (name.size() >= 4 && name.compare(name.size() - 4, 4, "bias") == 0) return false;
  const bool vision_norm = name.find(".layer_norm1.") != std::string::npos || name.find(".layer_norm2.") != std::string::npos ||
                           name.find("post_layernorm.") != std::string::npos;
  return !vision_norm;
}

}  // namespace mvrm::train
