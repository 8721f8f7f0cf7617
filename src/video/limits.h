// SPDX-License-Identifier: Apache-2.0
// How large a picture may be before it is refused (spec/reliability.md 2.4): decided from the header, before anything is allocated.
#pragma once
#include <cstdint>
#include <filesystem>
#include <mvrm/core/error.h>
#include <string>

namespace mvrm::video {

inline constexpr int64_t kMaxPixels = 33'000'000, kMaxSide = 16384, kMaxPictureBytes = int64_t{256} << 20;

inline void check_picture(int64_t width, int64_t height, const std::filesystem::path& path) {
  if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide || width * height > kMaxPixels) {
    throw core::DataError(path.string() + ": a picture of " + std::to_string(width) + "x" + std::to_string(height) + " pixels is outside the limits (side " +
                          std::to_string(kMaxSide) + ", " + std::to_string(kMaxPixels) + " pixels)");
  }
}

}  // namespace mvrm::video
