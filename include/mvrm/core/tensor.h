// SPDX-License-Identifier: Apache-2.0
// The tensor type of the program and the one way to check a shape. Shape letters are legends in each .cpp.
#pragma once
#include <ATen/core/Tensor.h>
#include <cstdint>
#include <string_view>
#include <vector>

namespace mvrm::core {

using Tensor = at::Tensor;

// Throws Error naming `name`, the expected and the actual shape. -1 in `shape` fits any size.
void check_shape(const Tensor& tensor, const std::vector<int64_t>& shape, std::string_view name);
std::string shape_text(at::IntArrayRef shape);   // "[3, 98, 98]"

}  // namespace mvrm::core
