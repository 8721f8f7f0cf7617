// SPDX-License-Identifier: Apache-2.0
// Float64 tables of normal numbers for tests: a value is a function of (stream, place) alone.
#pragma once
#include <ATen/ATen.h>
#include <mvrm/core/random.h>

namespace mvrm::test {

inline at::Tensor normal_table(at::IntArrayRef shape, uint64_t stream) {
  core::CounterRng rng(20261125, stream);
  at::Tensor values = at::empty(shape, at::kDouble);
  for (int64_t i = 0; i < values.numel(); ++i) values.mutable_data_ptr<double>()[i] = rng.normal();
  return values;
}

}  // namespace mvrm::test
