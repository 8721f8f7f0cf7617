// SPDX-License-Identifier: Apache-2.0
// Clips that are read, ordinary and odd: which frames come, in which order, of which size and when.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/video/video_reader.h>

#include <cstring>

#include "tests/support/program.h"
#include "tests/support/shared_data.h"
#include "tests/video/clip_writer.h"

namespace {

namespace fs = std::filesystem;
using mvrm::test::level_of;
using mvrm::test::Scratch;
using mvrm::test::StreamSpec;
using mvrm::test::write_clip;
using mvrm::video::clip_facts;
using mvrm::video::Frame;
using mvrm::video::Frames;
using mvrm::video::read_video;
using mvrm::video::SampleRule;
using mvrm::video::Sampling;

int middle_of(const Frame& frame) { return frame.rgb_HWC[static_cast<size_t>((frame.height / 2 * frame.width + frame.width / 2) * 3)]; }

// Every frame is the grey of the source frame that it claims to be. `tolerance`: lossy codecs and 8-bit ranges.
void expect_greys(const Frames& frames, int tolerance) {
  for (size_t i = 0; i < frames.frames.size(); ++i) {
    EXPECT_NEAR(middle_of(frames.frames[i]), level_of(frames.indices[i]), tolerance) << "frame " << i << ", index " << frames.indices[i];
  }
}

// A clip whose every frame is read in order, whatever is odd about it.
Frames expect_whole(const fs::path& path, int64_t count, int64_t height, int64_t width, int tolerance = 3) {
  Frames frames = read_video(path, {});
  EXPECT_EQ(frames.total, count);
  EXPECT_EQ(static_cast<int64_t>(frames.frames.size()), count);
  for (const auto& frame : frames.frames) {
    EXPECT_EQ(frame.height, height);
    EXPECT_EQ(frame.width, width);
    EXPECT_EQ(static_cast<int64_t>(frame.rgb_HWC.size()), height * width * 3);
  }
  expect_greys(frames, tolerance);
  return frames;
}

TEST(VideoReader, ReadsAClip) {
  const Scratch scratch("video1");
  const Frames frames = expect_whole(write_clip(scratch.path / "a.mp4"), 16, 48, 64);
  EXPECT_EQ(frames.indices.front(), 0);
  EXPECT_EQ(frames.indices.back(), 15);
  EXPECT_DOUBLE_EQ(frames.start_seconds[1] - frames.start_seconds[0], 0.125);  // 8 frames a second
}

TEST(VideoReader, KeepsTheSampledFramesAlone) {
  const Scratch scratch("video2");
  const auto path = write_clip(scratch.path / "a.mp4", {{.frames = 24}});
  const Frames evaluation = read_video(path, {.sampling = Sampling::linspace, .max_frames = 16});
  EXPECT_EQ(evaluation.indices, (std::vector<int64_t>{0, 1, 3, 4, 6, 7, 9, 10, 12, 13, 15, 16, 18, 19, 21, 23}));
  EXPECT_EQ(evaluation.total, 24);
  expect_greys(evaluation, 3);
  const Frames one = read_video(path, {.sampling = Sampling::stride, .max_frames = 1});
  EXPECT_EQ(one.indices, std::vector<int64_t>{0});
}

TEST(VideoReader, AShortClipRepeatsFramesInTheEvaluationRule) {
  const Scratch scratch("video3");
  const Frames frames = read_video(write_clip(scratch.path / "a.mp4", {{.frames = 8}}), {.sampling = Sampling::linspace, .max_frames = 16});
  EXPECT_EQ(frames.indices, (std::vector<int64_t>{0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7}));
  EXPECT_EQ(frames.frames.size(), 16U);
  expect_greys(frames, 3);
}

TEST(VideoReader, ReadsOneFrameOnly) {
  const Scratch scratch("video4");
  expect_whole(write_clip(scratch.path / "a.mp4", {{.frames = 1}}), 1, 48, 64);
}

struct Odd {
  const char* name;
  const char* file;
  StreamSpec spec;
  mvrm::test::MuxerOptions options = {};
};
// `expect_whole` of each: the oddity changes nothing that is handed out.
const Odd kOdd[] = {
    {"moov_first", "a.mp4", {}, {{"movflags", "+faststart"}}},
    {"fragmented", "a.mp4", {}, {{"movflags", "+frag_keyframe+empty_moov"}}},
    {"matroska_without_frame_count", "a.mkv", {}},
    {"mpegts", "a.ts", {}},
    {"gif", "a.gif", {.codec = "gif", .format = AV_PIX_FMT_GRAY8, .time_base = {1, 10}}},
    {"mjpeg_in_avi", "a.avi", {.codec = "mjpeg", .format = AV_PIX_FMT_YUVJ420P}},
    {"png_of_one_pixel", "a.avi", {.codec = "png", .width = 1, .height = 1, .format = AV_PIX_FMT_RGB24}},
    {"two_by_two", "a.mp4", {.width = 2, .height = 2}},
    {"odd_size", "a.mp4", {.width = 33, .height = 27, .format = AV_PIX_FMT_YUV444P}},
    {"odd_size_of_ffv1", "a.mkv", {.codec = "ffv1", .width = 35, .height = 29}},
    {"longest_side", "a.avi", {.codec = "png", .width = 16384, .height = 2, .frames = 2, .format = AV_PIX_FMT_RGB24}},
    {"rotated_is_left_as_stored", "a.mp4", {.rotation = 90}},
    {"pixels_that_are_not_square", "a.mp4", {.pixel_aspect = {4, 3}}},
    {"ten_bits", "a.mp4", {.format = AV_PIX_FMT_YUV420P10LE}},
    {"alpha", "a.avi", {.codec = "png", .format = AV_PIX_FMT_RGBA}},
    {"grey", "a.mkv", {.codec = "ffv1", .format = AV_PIX_FMT_GRAY8}},
    {"full_range", "a.mp4", {.format = AV_PIX_FMT_YUVJ420P, .range = AVCOL_RANGE_JPEG}},
    {"variable_frame_rate", "a.mp4", {.frames = 5, .pts = {0, 1, 7, 8, 30}}},
    {"negative_time", "a.mkv", {.frames = 4, .pts = {-3, -2, -1, 0}, .options = {{"bf", "0"}}}},
    {"hundred_hours", "a.mp4", {.frames = 2, .pts = {0, 2'880'000}}},
    {"billion_frames_a_second", "a.mp4", {.frames = 4, .time_base = {1, 1'000'000'000}}},
    {"edit_list", "a.mp4", {.frames = 6, .pts = {40, 41, 42, 43, 44, 45}}},
    {"reordered_frames", "a.mp4", {.options = {{"bf", "3"}, {"b_strategy", "0"}}}},
};

class OddClip : public testing::TestWithParam<Odd> {};
TEST_P(OddClip, IsReadWhole) {
  const Scratch scratch(std::string("odd_") + GetParam().name);
  const StreamSpec& spec = GetParam().spec;
  expect_whole(write_clip(scratch.path / GetParam().file, {spec}, GetParam().options), spec.frames, spec.height, spec.width);
}
INSTANTIATE_TEST_SUITE_P(Video, OddClip, testing::ValuesIn(kOdd), [](const auto& kind) { return kind.param.name; });

TEST(VideoReader, TakesTheBestOfSeveralStreams) {
  const Scratch scratch("video5");
  const StreamSpec cover{.codec = "png", .width = 200, .height = 200, .frames = 1, .format = AV_PIX_FMT_RGB24, .cover = true};
  expect_whole(write_clip(scratch.path / "cover.mp4", {cover, StreamSpec{}}), 16, 48, 64);
  expect_whole(write_clip(scratch.path / "two.mp4", {StreamSpec{}, {.width = 32, .height = 32, .frames = 4}}), 16, 48, 64);
  expect_whole(write_clip(scratch.path / "sound.mov", {StreamSpec{}}, {}, true), 16, 48, 64);
}

// The first group of pictures has lost its key frame; what can be decoded is what there is.
TEST(VideoReader, AClipWithoutItsFirstKeyFrameStartsAtTheNext) {
  const Scratch scratch("video6");
  const StreamSpec spec{.options = {{"g", "8"}, {"bf", "0"}, {"sc_threshold", "0"}}, .skip_packets = 1};
  const Frames frames = read_video(write_clip(scratch.path / "a.mkv", {spec}), {});
  EXPECT_GE(frames.total, 8);
  EXPECT_NEAR(middle_of(frames.frames.back()), level_of(15), 3);
}

// Lossless trimming leaves frames in the file and hides them; what is hidden isn't missing.
TEST(VideoReader, FramesThatTheEditListHidesAreNotTruncation) {
  const Scratch scratch("video10");
  const Frames frames =
      read_video(write_clip(scratch.path / "a.mp4", {{.duration = 0}}), {.sampling = Sampling::linspace, .max_frames = 2});
  EXPECT_EQ(frames.total, 15);
  EXPECT_EQ(frames.indices, (std::vector<int64_t>{0, 14}));
  expect_greys(frames, 3);
}

// In an AVI the header says how many frames there are, and may lie.
void declare_frames(const fs::path& avi, uint32_t frames) {
  std::string bytes = mvrm::test::slurp(avi);
  const auto header = bytes.find("strh");
  ASSERT_NE(header, std::string::npos);
  std::memcpy(bytes.data() + header + 8 + 32, &frames, 4);
  std::ofstream(avi, std::ios::binary) << bytes;
}

TEST(VideoReader, AHeaderThatDeclaresTooFewFramesIsBelieved) {
  const Scratch scratch("video7");
  const auto path = write_clip(scratch.path / "a.avi", {{.codec = "mjpeg", .format = AV_PIX_FMT_YUVJ420P}});
  declare_frames(path, 5);
  const Frames frames = read_video(path, {});
  EXPECT_EQ(frames.total, 5);
  EXPECT_EQ(frames.frames.size(), 5U);
}

TEST(VideoReader, AHeaderThatDeclaresTooManyFramesIsATruncatedClip) {
  const Scratch scratch("video8");
  const auto path = write_clip(scratch.path / "a.avi", {{.codec = "mjpeg", .format = AV_PIX_FMT_YUVJ420P}});
  for (const auto& [declared, cause] :
       {std::pair{40U, "is truncated: 16 of 40 frames"}, std::pair{2'000'000'000U, "declares 2000000000 frames"}}) {
    declare_frames(path, declared);
    try {
      read_video(path, {.sampling = Sampling::all});
      FAIL() << declared;
    } catch (const mvrm::core::DataError& error) {
      EXPECT_NE(std::string(error.what()).find(cause), std::string::npos) << error.what();
    }
  }
}

TEST(VideoReader, FollowsASymbolicLink) {
  const Scratch scratch("video9");
  write_clip(scratch.path / "a.mp4");
  fs::create_symlink("a.mp4", scratch.path / "link.mp4");
  expect_whole(scratch.path / "link.mp4", 16, 48, 64);
}

TEST(ClipFacts, AreThoseOfTheDecodedClip) {
  const Scratch scratch("facts1");
  const auto expect_decoded = [](const fs::path& path) {
    const auto facts = clip_facts(path);
    const Frames frames = read_video(path, {});
    EXPECT_EQ(facts.frames, frames.total) << path;
    EXPECT_EQ(facts.height, frames.frames[0].height) << path;
    EXPECT_EQ(facts.width, frames.frames[0].width) << path;
  };
  expect_decoded(write_clip(scratch.path / "a.mp4"));
  expect_decoded(write_clip(scratch.path / "odd.mp4", {{.width = 66, .height = 34, .frames = 5}}));
  expect_decoded(write_clip(scratch.path / "hidden.mp4", {{.duration = 0}}));   // the edit list leaves out a frame
  expect_decoded(write_clip(scratch.path / "a.avi", {{.codec = "mjpeg", .format = AV_PIX_FMT_YUVJ420P}}));
  const auto matroska = clip_facts(write_clip(scratch.path / "a.mkv"));
  EXPECT_EQ(matroska.frames, 0) << "its header doesn't say";
  EXPECT_EQ(matroska.height, 48);
}

TEST(ClipFacts, RefuseWhatCantBeReadAsReadVideoDoes) {
  const Scratch scratch("facts2");
  const auto cause = [](const fs::path& path) -> std::string {
    try {
      clip_facts(path);
    } catch (const mvrm::core::DataError& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_NE(cause(scratch.path / "missing.mp4").find("missing.mp4"), std::string::npos) << cause(scratch.path / "missing.mp4");
  std::ofstream(scratch.path / "text.mp4") << "not a clip";
  EXPECT_NE(cause(scratch.path / "text.mp4").find("is not a video"), std::string::npos) << cause(scratch.path / "text.mp4");
  const auto lies = write_clip(scratch.path / "a.avi", {{.codec = "mjpeg", .format = AV_PIX_FMT_YUVJ420P}});
  declare_frames(lies, 2'000'000'000U);   // a list of so many indices would be 16 GB
  EXPECT_NE(cause(lies).find("declares 2000000000 frames"), std::string::npos) << cause(lies);
}

// spec/videoscore.md 5.7: 24 frames at 8 a second, 768 x 640, 3 s.
TEST(VideoReader, ReadsThePublishedExample) {
  const fs::path path = mvrm::test::shared_data() / "videoscore_example.mp4";
  if (!fs::exists(path)) GTEST_SKIP() << "no " << path;
  const Frames frames = read_video(path, {.sampling = Sampling::stride, .max_frames = 48});
  EXPECT_EQ(frames.total, 24);
  ASSERT_EQ(frames.frames.size(), 24U);
  EXPECT_EQ(frames.frames[0].height * frames.frames[0].width, 768 * 640);
  EXPECT_NEAR(frames.start_seconds.back() - frames.start_seconds.front(), 23.0 / 8, 1e-6);
}

}  // namespace
