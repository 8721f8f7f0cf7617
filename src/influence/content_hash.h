// SPDX-License-Identifier: Apache-2.0
// A hash of a tensor's bytes at the speed of memory: it tells a changed table from the old one, not a forged one. SHA-256 of hundreds of
// megabytes would take longer than the answers it guards.
#pragma once
#include <mvrm/core/tensor.h>
#include <string>

namespace mvrm::influence {

// Of dtype, shape and every byte, in hexadecimal; does not depend on the number of threads (at::get_num_threads() of them are used).
std::string content_hash(const core::Tensor& table);

}  // namespace mvrm::influence
