// SPDX-License-Identifier: Apache-2.0
// Reads a clip (mp4, webm, avi, gif … through libav) or a list of pictures (JPEG, PNG) and keeps the sampled frames.
// Only local regular files; containers and codecs are white-listed, sizes bounded (spec/reliability.md 2.4). Thread-safe functions.
#pragma once
#include <filesystem>
#include <mvrm/video/frame_sampler.h>
#include <mvrm/video/frames.h>
#include <vector>

namespace mvrm::video {

struct SampleRule {
  Sampling sampling = Sampling::all;
  int64_t max_frames = 16;             // >= 1; ignored by Sampling::all
};

// Decodes from the start, one thread, and converts only the wanted frames to RGB (swscale, pinned flags).
// Throws DataError naming the path and the cause: missing, not a video, no video stream, zero frames, truncated (fewer frames
// decoded than the container declares), over the limits.
Frames read_video(const std::filesystem::path& path, const SampleRule& rule);
// The pictures in the given order; JPEG decoded with libjpeg-turbo (bit-exact with Pillow), PNG with libpng, told apart by content.
Frames read_pictures(const std::vector<std::filesystem::path>& paths, const SampleRule& rule);

// What a clip's headers say, no frame decoded for it; 0 frames: they don't say. Throws DataError as read_video does.
struct ClipFacts { int64_t frames = 0, height = 0, width = 0; };
ClipFacts clip_facts(const std::filesystem::path& path);

// Version of the libavcodec in use, e.g. "59.37.100".
std::string library_version();

}  // namespace mvrm::video
