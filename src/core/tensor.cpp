// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/tensor.h>

namespace mvrm::core {

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (axis > 0) text += ", ";
    text += shape[axis] == -1 ? "any" : std::to_string(shape[axis]);
  }
  return text + "]";
}

void check_shape(const Tensor& tensor, const std::vector<int64_t>& shape, std::string_view name) {
  if (!tensor.defined()) throw Error(detail::join(name, ": expected shape ", shape_text(shape), ", got no tensor"));
  bool same = tensor.dim() == static_cast<int64_t>(shape.size());
  for (size_t axis = 0; same && axis < shape.size(); ++axis)
    same = shape[axis] == -1 || shape[axis] == tensor.size(static_cast<int64_t>(axis));
  if (!same) throw Error(detail::join(name, ": expected shape ", shape_text(shape), ", got ", shape_text(tensor.sizes())));
}

}  // namespace mvrm::core
