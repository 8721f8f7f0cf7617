// SPDX-License-Identifier: Apache-2.0
// Pillow's bilinear resampling (versions up to 12), bit for bit: 22-bit fixed-point weights, horizontal pass first, 8-bit in between.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <mvrm/core/error.h>
#include <mvrm/preprocess/image_transform.h>

namespace mvrm::preprocess {

namespace {

constexpr int kPrecisionBits = 22;   // 32 - 8 - 2

struct Taps {
  int64_t first = 0;
  std::vector<int32_t> weight;
};

// Source positions and weights of every output position along one axis.
std::vector<Taps> taps_of(int64_t n_in, int64_t n_out) {
  const double scale = static_cast<double>(n_in) / static_cast<double>(n_out);
  const double filter_scale = std::max(scale, 1.0), inverse = 1.0 / filter_scale;
  std::vector<Taps> taps(static_cast<size_t>(n_out));
  std::vector<double> weight;
  for (int64_t i = 0; i < n_out; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const int64_t low = std::max<int64_t>(0, static_cast<int64_t>(centre - filter_scale + 0.5));
    const int64_t high = std::min(n_in, static_cast<int64_t>(centre + filter_scale + 0.5));
    double sum = 0;
    weight.clear();
    for (int64_t x = low; x < high; ++x) {
      weight.push_back(std::max(0.0, 1.0 - std::abs((static_cast<double>(x) - centre + 0.5) * inverse)));
      sum += weight.back();
    }
    auto& entry = taps[static_cast<size_t>(i)];
    entry.first = low;
    for (const double w : weight) {
      entry.weight.push_back(static_cast<int32_t>((sum != 0.0 ? w / sum : w) * (1 << kPrecisionBits) + 0.5));
    }
  }
  return taps;
}

uint8_t rounded(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255)); }

video::Frame resize_width(const video::Frame& frame, int64_t width) {
  const auto taps = taps_of(frame.width, width);
  video::Frame out{.height = frame.height, .width = width, .rgb_HWC = std::vector<uint8_t>(static_cast<size_t>(3 * width * frame.height))};
  for (int64_t y = 0; y < frame.height; ++y) {
    const uint8_t* source = frame.rgb_HWC.data() + 3 * frame.width * y;
    uint8_t* target = out.rgb_HWC.data() + 3 * width * y;
    for (int64_t x = 0; x < width; ++x, target += 3) {
      const auto& [first, weight] = taps[static_cast<size_t>(x)];
      const uint8_t* at = source + 3 * first;
      int32_t r = 1 << (kPrecisionBits - 1), g = r, b = r;
      for (const int32_t w : weight) {
        r += at[0] * w;
        g += at[1] * w;
        b += at[2] * w;
        at += 3;
      }
      target[0] = rounded(r);
      target[1] = rounded(g);
      target[2] = rounded(b);
    }
  }
  return out;
}

// Row by row with a 32-bit accumulator per value: contiguous, so the compiler vectorises it.
video::Frame resize_height(const video::Frame& frame, int64_t height) {
  const auto taps = taps_of(frame.height, height);
  const auto stride = static_cast<size_t>(3 * frame.width);
  video::Frame out{.height = height, .width = frame.width, .rgb_HWC = std::vector<uint8_t>(stride * static_cast<size_t>(height))};
  std::vector<int32_t> sum(stride);
  for (int64_t y = 0; y < height; ++y) {
    std::fill(sum.begin(), sum.end(), 1 << (kPrecisionBits - 1));
    const auto& [first, weight] = taps[static_cast<size_t>(y)];
    for (size_t t = 0; t < weight.size(); ++t) {
      const uint8_t* source = frame.rgb_HWC.data() + stride * (static_cast<size_t>(first) + t);
      const int32_t w = weight[t];
      for (size_t i = 0; i < stride; ++i) sum[i] += source[i] * w;
    }
    uint8_t* target = out.rgb_HWC.data() + stride * static_cast<size_t>(y);
    for (size_t i = 0; i < stride; ++i) target[i] = rounded(sum[i]);
  }
  return out;
}

}  // namespace

video::Frame resize_bilinear(const video::Frame& frame, Size output) {
  MVRM_CHECK(output.height >= 1 && output.width >= 1, "resizing to ", output.height, "x", output.width);
  MVRM_CHECK(static_cast<int64_t>(frame.rgb_HWC.size()) == 3 * frame.height * frame.width, "frame of ", frame.rgb_HWC.size(), " bytes");
  if (output.width == frame.width && output.height == frame.height) return frame;
  if (output.width == frame.width) return resize_height(frame, output.height);
  const video::Frame wide = resize_width(frame, output.width);
  return output.height == frame.height ? wide : resize_height(wide, output.height);
}

}  // namespace mvrm::preprocess
