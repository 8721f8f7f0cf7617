// SPDX-License-Identifier: Apache-2.0
// A rendered clip shows what its levels say: each cause is measured on the pixels, and no cause changes what another one shows.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <malloc.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/data/manifest.h>
#include <mvrm/synth/synth.h>
#include <mvrm/video/video_reader.h>
#include <nlohmann/json.hpp>
#include <sstream>

namespace {

namespace fs = std::filesystem;
using namespace mvrm;

constexpr int kClips = 160;
// Undisturbed pictures, so that an object can be measured by simple means.
const synth::SynthConfig kClear{.vary = {"dynamic degree", "text-to-video alignment", "factual consistency"}};
enum Dimension { kQuality, kConsistency, kMotion, kAlignment, kFacts };

// Mean over the clips of each level 1..4 of `measure`, for the levels of dimension `k`.
template <class Measure> std::array<double, 4> mean_by_level(Dimension k, Measure measure) {
  std::array<double, 4> sum{}, count{};
  for (int i = 0; i < kClips; ++i) {
    const synth::Clip clip = synth::render_clip({}, 1000 + static_cast<uint64_t>(i));
    const auto level = static_cast<size_t>(clip.level_K[k] - 1);
    sum[level] += measure(clip);
    count[level] += 1;
  }
  for (size_t i = 0; i < 4; ++i) sum[i] /= count[i];
  return sum;
}

double value(const video::Frame& frame, int64_t y, int64_t x, int64_t c) { return frame.rgb_HWC[static_cast<size_t>((y * frame.width + x) * 3 + c)]; }

// Sum of absolute differences between neighbours along a row of background: what sensor noise looks like.
double roughness(const synth::Clip& clip) {
  double sum = 0;
  for (const auto& frame : clip.frames.frames)
    for (int64_t x = 1; x < frame.width; ++x) sum += std::abs(value(frame, 25, x, 1) - value(frame, 25, x - 1, 1));
  return sum;
}

// How much the corner changes from frame to frame.
double flicker(const synth::Clip& clip) {
  double sum = 0;
  for (size_t t = 1; t < clip.frames.frames.size(); ++t) {
    double now = 0, before = 0;
    for (int64_t y = 24; y < 30; ++y)
      for (int64_t x = 0; x < 56; ++x) {
        now += value(clip.frames.frames[t], y, x, 0);
        before += value(clip.frames.frames[t - 1], y, x, 0);
      }
    sum += std::abs(now - before);
  }
  return sum;
}

bool is_object(const video::Frame& frame, int64_t y, int64_t x) {
  double corner = 0;
  for (int64_t column = 0; column < 56; ++column) corner += value(frame, 26, column, 2) / 56;
  return value(frame, y, x, 2) > corner + 30;   // the object is the only bright thing in the lower half
}

// Centre of the bright object in x; -1 where it is missing.
double object_x(const video::Frame& frame) {
  double sum = 0, weight = 0;
  for (int64_t y = 28; y < 56; ++y)
    for (int64_t x = 0; x < 56; ++x)
      if (is_object(frame, y, x)) {
        sum += static_cast<double>(x);
        weight += 1;
      }
  return weight > 12 ? sum / weight : -1;
}

TEST(Synth, QualityIsRoughness) {
  const auto mean = mean_by_level(kQuality, roughness);
  for (size_t i = 1; i < 4; ++i) EXPECT_GT(mean[i - 1], 1.2 * mean[i]) << "level " << i + 1;
}

TEST(Synth, ConsistencyIsFlicker) {
  const auto mean = mean_by_level(kConsistency, flicker);
  for (size_t i = 1; i < 4; ++i) EXPECT_GT(mean[i - 1], 1.2 * mean[i]) << "level " << i + 1;
}

TEST(Synth, MotionIsHowFarTheObjectGets) {
  std::array<double, 4> least{100, 100, 100, 100}, most{};
  for (int i = 0; i < kClips; ++i) {
    const synth::Clip clip = synth::render_clip(kClear, static_cast<uint64_t>(i));
    const double travel = object_x(clip.frames.frames.back()) - object_x(clip.frames.frames.front());
    auto& low = least[static_cast<size_t>(clip.level_K[kMotion] - 1)];
    auto& high = most[static_cast<size_t>(clip.level_K[kMotion] - 1)];
    low = std::min(low, travel);
    high = std::max(high, travel);
  }
  for (size_t i = 1; i < 4; ++i) EXPECT_GT(least[i], most[i - 1] + 3) << "level " << i + 1;
}

TEST(Synth, AlignmentIsTheNumberOfSquaresInTheNamedColour) {
  for (int i = 0; i < kClips; ++i) {
    const synth::Clip clip = synth::render_clip(kClear, static_cast<uint64_t>(i));
    int64_t matching = 0;
    for (const double centre : {0.2, 0.5, 0.8}) {
      const auto x = static_cast<int64_t>(centre * 56), y = static_cast<int64_t>(0.18 * 56);
      const auto& frame = clip.frames.frames.front();
      const std::array<double, 3> rgb{value(frame, y, x, 0), value(frame, y, x, 1), value(frame, y, x, 2)};
      const char* names[] = {"red", "green", "blue"};
      const std::string shown = names[std::max_element(rgb.begin(), rgb.end()) - rgb.begin()];
      matching += clip.prompt.find(shown) != std::string::npos ? 1 : 0;
    }
    EXPECT_EQ(matching, clip.level_K[kAlignment] - 1) << clip.prompt;
  }
}

TEST(Synth, FactsAreFramesWithoutTheObject) {
  for (int i = 0; i < kClips; ++i) {
    const synth::Clip clip = synth::render_clip(kClear, static_cast<uint64_t>(i));
    int64_t missing = 0;
    for (const auto& frame : clip.frames.frames) missing += object_x(frame) < 0 ? 1 : 0;
    const int64_t expected[] = {5, 3, 1, 0};   // of the six inner frames
    EXPECT_EQ(missing, expected[clip.level_K[kFacts] - 1]) << "clip " << i;
  }
}

TEST(Synth, LevelsAreIndependentAndEquallyLikely) {
  constexpr int kMany = 4000;
  std::array<std::array<double, 4>, 5> share{};
  std::array<std::array<double, 5>, 5> product{};
  for (int i = 0; i < kMany; ++i) {
    const synth::Clip clip = synth::render_clip({.frames = 3, .height = 28, .width = 28}, static_cast<uint64_t>(i));
    for (size_t k = 0; k < 5; ++k) {
      share[k][static_cast<size_t>(clip.level_K[k] - 1)] += 1.0 / kMany;
      for (size_t j = 0; j < 5; ++j)
        product[k][j] += (static_cast<double>(clip.level_K[k]) - 2.5) * (static_cast<double>(clip.level_K[j]) - 2.5) / 1.25 / kMany;
    }
  }
  for (size_t k = 0; k < 5; ++k) {
    for (const double s : share[k]) EXPECT_NEAR(s, 0.25, 0.03);
    for (size_t j = 0; j < k; ++j) EXPECT_NEAR(product[k][j], 0.0, 0.06) << "dimensions " << k << " and " << j;
  }
}

TEST(Synth, Mp4HoldsTheFramesThatWereRendered) {
  const fs::path path = fs::temp_directory_path() / ("mvrm_synth_" + std::to_string(::getpid()) + ".mp4");
  const synth::Clip clip = synth::render_clip({}, 5);
  synth::write_mp4(path, clip.frames, 8.0);
  const video::Frames read = video::read_video(path, {});
  fs::remove(path);
  ASSERT_EQ(read.frames.size(), clip.frames.frames.size());
  double worst = 0;
  for (size_t t = 0; t < read.frames.size(); ++t) {
    EXPECT_NEAR(read.start_seconds[t], static_cast<double>(t) / 8.0, 1e-6);
    double sum = 0;
    for (size_t i = 0; i < read.frames[t].rgb_HWC.size(); ++i) sum += std::abs(double{1} * read.frames[t].rgb_HWC[i] - clip.frames.frames[t].rgb_HWC[i]);
    worst = std::max(worst, sum / static_cast<double>(read.frames[t].rgb_HWC.size()));
  }
  EXPECT_LT(worst, 6.0) << "mean absolute error in levels: compression must not hide a cause";
}

// Encoders and scalers read beyond a picture's edge; fresh memory is filled with another byte each time here.
TEST(Synth, Mp4BytesDoNotDependOnWhatTheMemoryHeld) {
  const fs::path path = fs::temp_directory_path() / ("mvrm_synth_bytes_" + std::to_string(::getpid()) + ".mp4");
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    const synth::Clip clip = synth::render_clip({}, seed);
    std::string first;
    for (const int fill : {1, 85, 165, 255}) {
      ::mallopt(M_PERTURB, fill);
      synth::write_mp4(path, clip.frames, 8.0);
      const std::string bytes = core::read_file(path);
      if (first.empty()) first = bytes;
      EXPECT_EQ(core::sha256_hex(first), core::sha256_hex(bytes)) << "clip " << seed << ", memory filled with " << fill;
    }
  }
  ::mallopt(M_PERTURB, 0);
  fs::remove(path);
}

TEST(Synth, NoiseHitsTheAskedShareOfEveryDimensionIndependently) {
  const fs::path folder = fs::temp_directory_path() / ("mvrm_synth_" + std::to_string(::getpid()));
  fs::remove_all(folder);
  synth::write_dataset(folder, {.videos = 50, .test_videos = 5, .noise = 0.2, .frames = 3, .height = 28, .width = 28}, {.threads = 2});
  std::array<int, 5> corrupted{};
  int both = 0, rows = 0;
  std::istringstream lines(core::read_file(folder / "truth.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto row = nlohmann::json::parse(line);
    const auto names = data::videofeedback_dimensions();
    for (size_t k = 0; k < 5; ++k) {
      const bool differs = row["labels"][names[k]] != row["observed"][names[k]];
      EXPECT_EQ(row["corrupted"][names[k]].get<bool>(), differs);
      corrupted[k] += differs ? 1 : 0;
    }
    both += row["corrupted"][names[0]].get<bool>() && row["corrupted"][names[1]].get<bool>() ? 1 : 0;
    ++rows;
  }
  EXPECT_EQ(rows, 50);
  for (const int count : corrupted) EXPECT_EQ(count, 10);
  EXPECT_LT(both, 8) << "two dimensions are corrupted together";
  EXPECT_EQ(data::load_manifest(folder / "test.jsonl").samples.size(), 5U);
  EXPECT_THROW(synth::write_dataset(folder, {.videos = 51}, {}), core::Error) << "another data set is there already";
  fs::remove_all(folder);
}

}  // namespace
