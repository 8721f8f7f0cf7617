// SPDX-License-Identifier: Apache-2.0
// Resizing and JPEG decoding against Pillow, bit for bit (scripts/record_pillow_values.py recorded the hashes).
#include <gtest/gtest.h>
#include <mvrm/core/files.h>
#include <mvrm/preprocess/image_transform.h>
#include <mvrm/video/video_reader.h>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/fidelity.h"

namespace mvrm::preprocess {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(MVRM_SOURCE_DIR) / "tests" / "preprocess" / "pillow";

// The rows of values.jsonl that describe `kind`.
std::vector<nlohmann::json> recorded(const std::string& kind) {
  std::vector<nlohmann::json> rows;
  std::istringstream lines(core::read_file(kFolder / "values.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto row = nlohmann::json::parse(line);
    if (row.contains(kind)) rows.push_back(row[kind]);
  }
  return rows;
}

uint64_t splitmix(uint64_t z) {
  z += 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

// The recording script's picture number `shape`.
video::Frame picture(uint64_t shape, int64_t height, int64_t width) {
  video::Frame frame{.height = height, .width = width, .rgb_HWC = std::vector<uint8_t>(static_cast<size_t>(3 * height * width))};
  for (size_t i = 0; i < frame.rgb_HWC.size(); ++i) frame.rgb_HWC[i] = static_cast<uint8_t>(splitmix((shape << 32) + 1000 + i) >> 56);
  return frame;
}

std::string hash_of(const video::Frame& frame) {
  return core::sha256_hex({reinterpret_cast<const char*>(frame.rgb_HWC.data()), frame.rgb_HWC.size()});
}

TEST(Pillow, FiveHundredResizesAreBitExact) {
  const auto rows = recorded("resize");
  ASSERT_EQ(rows.size(), 500U);
  test::Fidelity fidelity("Pillow bilinear resize, random shapes", 0);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto from = rows[i]["from"].get<std::vector<int64_t>>(), to = rows[i]["to"].get<std::vector<int64_t>>();
    const video::Frame resized = resize_bilinear(picture(i, from[0], from[1]), {to[0], to[1]});
    fidelity.add("500 hashes that differ", hash_of(resized) == rows[i]["sha256"].get<std::string>() ? 0 : 1, rows[i].dump());
  }
}

TEST(Pillow, JpegFilesDecodeBitExactly) {
  const auto rows = recorded("jpeg");
  ASSERT_GE(rows.size(), 14U);
  test::Fidelity fidelity("JPEG decoding against Pillow", 0);
  for (const auto& row : rows) {
    const auto frames = video::read_pictures({kFolder / row["file"].get<std::string>()}, {});
    ASSERT_EQ(frames.frames.size(), 1U);
    EXPECT_EQ((std::vector<int64_t>{frames.frames[0].height, frames.frames[0].width}), row["size"].get<std::vector<int64_t>>());
    fidelity.add(std::to_string(rows.size()) + " hashes that differ", hash_of(frames.frames[0]) == row["sha256"].get<std::string>() ? 0 : 1, row.dump());
  }
}

}  // namespace
}  // namespace mvrm::preprocess
