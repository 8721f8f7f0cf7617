// SPDX-License-Identifier: Apache-2.0
#include "canvas.h"

#include <algorithm>

namespace mvrm::synth {

namespace {

bool inside(Shape shape, double dy, double dx, double half) {
  switch (shape) {
    case Shape::ball: return dy * dy + dx * dx <= half * half;
    case Shape::box: return dy >= -half && dy <= half && dx >= -half && dx <= half;
    case Shape::triangle: {   // tip up
      const double width = 0.5 * (dy + half);
      return dy >= -half && dy <= half && dx >= -width && dx <= width;
    }
  }
  return false;
}

}  // namespace

Canvas::Canvas(int64_t height, int64_t width, const Colour& background)
    : height_(height), width_(width), values_(static_cast<size_t>(height * width * 3)) {
  for (size_t i = 0; i < values_.size(); ++i) values_[i] = background[i % 3];
}

void Canvas::draw(Shape shape, double centre_y, double centre_x, double half_size, const Colour& colour) {
  constexpr int kGrid = 4;
  const auto first = [](double x) { return std::max<int64_t>(0, static_cast<int64_t>(x)); };
  for (int64_t y = first(centre_y - half_size - 1); y < std::min(height_, first(centre_y + half_size + 2)); ++y) {
    for (int64_t x = first(centre_x - half_size - 1); x < std::min(width_, first(centre_x + half_size + 2)); ++x) {
      int hits = 0;
      for (int s = 0; s < kGrid * kGrid; ++s) {
        const double sub_y = static_cast<double>(y) + (0.5 + s / kGrid) / kGrid, sub_x = static_cast<double>(x) + (0.5 + s % kGrid) / kGrid;
        hits += inside(shape, sub_y - centre_y, sub_x - centre_x, half_size) ? 1 : 0;
      }
      const double cover = static_cast<double>(hits) / (kGrid * kGrid);
      for (int64_t c = 0; c < 3; ++c) at(y, x, c) += cover * (colour[static_cast<size_t>(c)] - at(y, x, c));
    }
  }
}

void Canvas::blur(int64_t passes) {
  std::vector<double> source;
  for (int64_t pass = 0; pass < passes; ++pass) {
    source = values_;
    for (int64_t y = 0; y < height_; ++y) {
      for (int64_t x = 0; x < width_; ++x) {
        for (int64_t c = 0; c < 3; ++c) {
          double sum = 0;
          for (int64_t dy = -1; dy <= 1; ++dy) {
            for (int64_t dx = -1; dx <= 1; ++dx) {
              const int64_t sy = std::clamp<int64_t>(y + dy, 0, height_ - 1), sx = std::clamp<int64_t>(x + dx, 0, width_ - 1);
              sum += source[static_cast<size_t>((sy * width_ + sx) * 3 + c)];
            }
          }
          at(y, x, c) = sum / 9.0;
        }
      }
    }
  }
}

void Canvas::scale_contrast(double factor) {
  for (double& value : values_) value = 128.0 + factor * (value - 128.0);
}

video::Frame Canvas::to_frame() const {
  video::Frame frame{.height = height_, .width = width_, .rgb_HWC = std::vector<uint8_t>(values_.size())};
  for (size_t i = 0; i < values_.size(); ++i) frame.rgb_HWC[i] = static_cast<uint8_t>(std::clamp(values_[i] + 0.5, 0.0, 255.0));
  return frame;
}

}  // namespace mvrm::synth
