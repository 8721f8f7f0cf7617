// SPDX-License-Identifier: Apache-2.0
// Pictures as the vision tower wants them, still as 8-bit levels: normalisation is a table look-up at batch time.
#pragma once
#include <mvrm/core/tensor.h>

namespace mvrm::preprocess {

struct Pixels {
  core::Tensor levels_NCHW;   // uint8 [N, 3, H, W], resized, zero-padded at the bottom and right to the largest H and W
  core::Tensor mask_NHW;      // bool [N, H, W], true on real pixels; undefined = every pixel is real
  int64_t count() const { return levels_NCHW.defined() ? levels_NCHW.size(0) : 0; }
};

}  // namespace mvrm::preprocess
