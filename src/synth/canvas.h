// SPDX-License-Identifier: Apache-2.0
// A picture of linear values 0..255 per channel, and anti-aliased shapes on it. Only + - * / and sqrt: the same bytes on every machine.
#pragma once
#include <array>
#include <cstdint>
#include <mvrm/video/frames.h>
#include <vector>

namespace mvrm::synth {

using Colour = std::array<double, 3>;
enum class Shape { ball, box, triangle };

class Canvas {
 public:
  Canvas(int64_t height, int64_t width, const Colour& background);
  // Centre and half size in pixels; coverage of border pixels is estimated on a 4 x 4 grid.
  void draw(Shape shape, double centre_y, double centre_x, double half_size, const Colour& colour);
  void blur(int64_t passes);                       // 3 x 3 box filter, repeated
  void scale_contrast(double factor);              // around the middle grey
  double& at(int64_t y, int64_t x, int64_t channel) { return values_[static_cast<size_t>((y * width_ + x) * 3 + channel)]; }
  int64_t height() const { return height_; }
  int64_t width() const { return width_; }
  video::Frame to_frame() const;                   // rounded to 8 bits

 private:
  int64_t height_, width_;
  std::vector<double> values_;
};

}  // namespace mvrm::synth
