// SPDX-License-Identifier: Apache-2.0
// Decoded frames: what video gives and preprocess takes.
#pragma once
#include <cstdint>
#include <vector>

namespace mvrm::video {

// One picture, 8-bit RGB interleaved, rows top to bottom without padding: rgb_HWC.size() == height * width * 3.
struct Frame {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> rgb_HWC;
};

// Frames in time order. Frames of one video share a size; pictures of a folder need not.
struct Frames {
  std::vector<Frame> frames;
  std::vector<int64_t> indices;          // index of each frame in the source, decode order; repeats allowed
  std::vector<double> start_seconds;     // presentation time of each frame; 0, 1, 2 … for pictures
  int64_t total = 0;                     // frames in the source before sampling
};

}  // namespace mvrm::video
