// SPDX-License-Identifier: Apache-2.0
// Renders video data sets with known quality: each of VideoFeedback's five dimensions has one visible cause, drawn independently.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mvrm/core/context.h>
#include <mvrm/refine/noise.h>
#include <mvrm/video/frames.h>
#include <string>
#include <vector>

namespace mvrm::synth {

struct SynthConfig {
  int64_t videos = 200;             // training clips
  int64_t test_videos = -1;         // clean clips; -1 = a quarter of `videos`
  double noise = 0.0;               // share of labels corrupted, per dimension, training split only; 0..1
  refine::NoiseKind noise_kind = refine::NoiseKind::uniform_other;
  uint64_t seed = 42;
  std::vector<std::string> vary;    // dimensions whose level is drawn; the others are at 4. Empty: all five
  int64_t colours = 2;              // 2 or 3 that a prompt can name and a square can have
  int64_t frames = 8, height = 56, width = 56;
};

// One clip: quality level 1..4 per dimension, everything else (colours, shapes, paths) from the seed.
struct Clip {
  std::string id;
  std::string prompt;
  std::vector<int64_t> level_K;     // visual quality, temporal consistency, dynamic degree, text-to-video alignment, factual consistency
  video::Frames frames;
};
Clip render_clip(const SynthConfig& config, uint64_t clip_seed);

// Writes train.jsonl, test.jsonl, videos/, truth.jsonl ({"id","labels" (true),"observed","corrupted":{dim:bool}}). Same config, same bytes.
// Resumes: clips that exist already are not rendered again when the stored config is the same.
void write_dataset(const std::filesystem::path& directory, const SynthConfig& config, const core::Context& context);

// H.264 in mp4, deterministic (one thread, no time stamps of the day). Throws Error (io).
void write_mp4(const std::filesystem::path& path, const video::Frames& frames, double frames_per_second);

}  // namespace mvrm::synth
