// SPDX-License-Identifier: Apache-2.0
// The catalogue of bad clips: each is one DataError that names the path and the cause, and none hangs, crashes or fills the memory.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/random.h>
#include <mvrm/video/video_reader.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#include <cstring>
#include <functional>

#include "tests/support/program.h"
#include "tests/video/clip_writer.h"

extern "C" {
#include <libavutil/crc.h>
}

namespace {

namespace fs = std::filesystem;
using mvrm::test::Scratch;
using mvrm::test::slurp;
using mvrm::test::StreamSpec;
using mvrm::test::write_clip;

fs::path put(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

std::string random_bytes(size_t count, uint64_t seed) {
  mvrm::core::CounterRng random(seed, 0);
  std::string bytes(count, '\0');
  for (char& c : bytes) c = static_cast<char>(random.below(256));
  return bytes;
}

// The first `percent` of a clip.
fs::path cut(const fs::path& folder, int percent, bool moov_first) {
  const auto path = write_clip(folder / "a.mp4", {{.noise = true}},
                               moov_first ? mvrm::test::MuxerOptions{{"movflags", "+faststart"}} : mvrm::test::MuxerOptions{});
  const std::string whole = slurp(path);
  return put(path, whole.substr(0, whole.size() * static_cast<size_t>(percent) / 100));
}

fs::path patched(const fs::path& path, const std::string& from, const std::string& to) {
  std::string bytes = slurp(path);
  const auto at = bytes.rfind(from);
  if (at == std::string::npos) throw std::runtime_error("no '" + from + "' in " + path.string());
  return put(path, bytes.replace(at, to.size(), to));
}

// Two streams of another kind, one behind the other in one MPEG transport stream.
fs::path joined(const fs::path& folder, const StreamSpec& first, const StreamSpec& second) {
  const std::string bytes = slurp(write_clip(folder / "1.ts", {first})) + slurp(write_clip(folder / "2.ts", {second}));
  return put(folder / "a.ts", bytes);
}

fs::path bomb(const fs::path& folder) {
  const auto path = write_clip(folder / "a.avi", {{.codec = "ffv1", .frames = 30}});
  std::string bytes = slurp(path);
  const auto format = bytes.find("strf");
  const int32_t size[] = {16000, 16000};
  std::memcpy(bytes.data() + format + 12, size, sizeof size);  // BITMAPINFOHEADER's width and height
  return put(path, bytes);
}

struct Bad {
  const char* name;
  std::function<fs::path(const fs::path&)> make;
  const char* cause;
};
const char* const kNotVideo = "is not a video that can be read";

const Bad kBad[] = {
    {"missing", [](const fs::path& f) { return f / "a.mp4"; }, "can't be opened: No such file or directory"},
    {"empty", [](const fs::path& f) { return put(f / "a.mp4", ""); }, "is empty"},
    {"one_byte", [](const fs::path& f) { return put(f / "a.mp4", "x"); }, kNotVideo},
    {"random_bytes", [](const fs::path& f) { return put(f / "a.mp4", random_bytes(100'000, 7)); }, kNotVideo},
    {"text", [](const fs::path& f) { return put(f / "a.mp4", "Four score and seven years ago\n"); }, kNotVideo},
    {"cut_at_10", [](const fs::path& f) { return cut(f, 10, false); }, kNotVideo},
    {"cut_at_50", [](const fs::path& f) { return cut(f, 50, false); }, kNotVideo},
    {"cut_at_70", [](const fs::path& f) { return cut(f, 70, false); }, kNotVideo},
    {"cut_at_90", [](const fs::path& f) { return cut(f, 90, false); }, kNotVideo},
    {"cut_at_99", [](const fs::path& f) { return cut(f, 99, false); }, kNotVideo},
    {"moov_first_cut_at_10", [](const fs::path& f) { return cut(f, 10, true); }, "is truncated"},
    {"moov_first_cut_at_50", [](const fs::path& f) { return cut(f, 50, true); }, "is truncated"},
    {"moov_first_cut_at_70", [](const fs::path& f) { return cut(f, 70, true); }, "is truncated"},
    {"moov_first_cut_at_90", [](const fs::path& f) { return cut(f, 90, true); }, "is truncated"},
    {"moov_first_cut_at_99", [](const fs::path& f) { return cut(f, 99, true); }, "is truncated"},
    {"zero_frames", [](const fs::path& f) { return write_clip(f / "a.avi", {{.codec = "mpeg4", .frames = 0}}); }, "holds no frames"},
    {"zero_frames_of_matroska", [](const fs::path& f) { return write_clip(f / "a.mkv", {{.frames = 0}}); }, kNotVideo},
    {"sound_only", [](const fs::path& f) { return write_clip(f / "a.mov", {}, {}, true); }, "has no video stream that can be decoded"},
    {"cover_art_only", [](const fs::path& f) { return put(f / "a.mp4", "ID3\x04" + random_bytes(2000, 3)); }, kNotVideo},
    {"hls_playlist",
     [](const fs::path& f) {
       write_clip(f / "0.ts");
       return put(f / "a.mp4", "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n0.ts\n#EXT-X-ENDLIST\n");
     },
     kNotVideo},
    {"concat_script",
     [](const fs::path& f) {
       write_clip(f / "0.mp4");
       return put(f / "a.mp4", "ffconcat version 1.0\nfile 0.mp4\n");
     },
     kNotVideo},
    {"picture_renamed",
     [](const fs::path& f) {
       write_clip(f / "p.avi", {{.codec = "png", .frames = 1, .format = AV_PIX_FMT_RGB24}});
       const std::string bytes = slurp(f / "p.avi");
       return put(f / "a.mp4", bytes.substr(bytes.find("\x89PNG")));
     },
     kNotVideo},
    {"fifo",
     [](const fs::path& f) {
       ::mkfifo((f / "a.mp4").c_str(), 0600);
       return f / "a.mp4";
     },
     "is not a regular file"},
    {"folder",
     [](const fs::path& f) {
       fs::create_directory(f / "a.mp4");
       return f / "a.mp4";
     },
     "is not a regular file"},
    {"device", [](const fs::path&) { return fs::path("/dev/zero"); }, "is not a regular file"},
    {"dangling_link",
     [](const fs::path& f) {
       fs::create_symlink("nowhere.mp4", f / "a.mp4");
       return f / "a.mp4";
     },
     "can't be opened: No such file or directory"},
    {"circular_link",
     [](const fs::path& f) {
       fs::create_symlink("a.mp4", f / "a.mp4");
       return f / "a.mp4";
     },
     "can't be opened: Too many levels of symbolic links"},
    {"http_url", [](const fs::path&) { return fs::path("http://127.0.0.1:9/a.mp4"); }, "can't be opened"},
    {"file_url", [](const fs::path& f) { return fs::path("file:" + write_clip(f / "a.mp4").string()); }, "can't be opened"},
    {"subfile_url", [](const fs::path& f) { return fs::path("subfile,,start,0,end,9,,:" + write_clip(f / "a.mp4").string()); },
     "can't be opened"},
    {"name_too_long", [](const fs::path& f) { return f / std::string(300, 'x'); }, "can't be opened: File name too long"},
    {"resolution_bomb", bomb, "16000x16000 pixels is outside the limits"},
    {"hundred_thousand_wide",
     [](const fs::path& f) {
       return write_clip(f / "a.mkv", {{.codec = "png", .width = 100'000, .height = 1, .frames = 1, .format = AV_PIX_FMT_RGB24}});
     },
     "100000x1 pixels is outside the limits"},
    {"size_changes", [](const fs::path& f) { return joined(f, {}, {.width = 32, .height = 32}); },
     "changes its frame size or pixel format"},
    {"pixel_format_changes", [](const fs::path& f) { return joined(f, {}, {.format = AV_PIX_FMT_YUV444P}); },
     "changes its frame size or pixel format"},
    {"unknown_codec", [](const fs::path& f) { return patched(write_clip(f / "a.mp4"), "avc1", "zzz1"); },
     "no video stream that can be decoded"},
    {"codec_not_listed", [](const fs::path& f) { return write_clip(f / "a.avi", {{.codec = "flv", .options = {}}}); },
     "is coded as flv, which is not read"},
    {"encrypted",
     [](const fs::path& f) {
       return write_clip(f / "a.mp4", {StreamSpec{}},
                         {{"encryption_scheme", "cenc-aes-ctr"},
                          {"encryption_key", "000102030405060708090a0b0c0d0e0f"},
                          {"encryption_kid", "00112233445566778899aabbccddeeff"}});
     },
     ""},
};

class BadVideo : public testing::TestWithParam<Bad> {};
TEST_P(BadVideo, IsOneErrorWithPathAndCause) {
  const Scratch scratch(std::string("bad_") + GetParam().name);
  const fs::path path = GetParam().make(scratch.path);
  try {
    const auto frames = mvrm::video::read_video(path, {});
    FAIL() << "gave " << frames.frames.size() << " frames";
  } catch (const mvrm::core::DataError& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.rfind(path.string() + ": ", 0), 0U) << message;
    EXPECT_NE(message.find(GetParam().cause), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_EQ(error.status(), mvrm::core::ExitStatus::data);
  }
}
INSTANTIATE_TEST_SUITE_P(Video, BadVideo, testing::ValuesIn(kBad), [](const auto& kind) { return kind.param.name; });

// Root may read everything, so the test gives that right up for as long as it reads.
TEST(BadVideos, AFileWithoutPermissionIsAnError) {
  const Scratch scratch("bad_permission");
  const auto path = write_clip(scratch.path / "a.mp4");
  fs::permissions(path, fs::perms::none);
  const int before = ::setfsuid(65534);
  std::string message;
  try {
    mvrm::video::read_video(path, {});
  } catch (const mvrm::core::DataError& error) {
    message = error.what();
  }
  ::setfsuid(static_cast<uid_t>(before));
  EXPECT_EQ(message, path.string() + ": can't be opened: Permission denied");
}

// Whatever a flipped byte does to a clip, it is a clip of sane frames or one error.
TEST(BadVideos, FlippedBytesGiveFramesOrOneError) {
  const Scratch scratch("bad_flips");
  const std::string whole = slurp(write_clip(scratch.path / "a.mp4", {{.width = 32, .height = 32, .frames = 8}}));
  mvrm::core::CounterRng random(11, 0);
  for (int attempt = 0; attempt < 150; ++attempt) {
    std::string bytes = whole;
    for (int64_t flip = 0; flip <= random.below(8); ++flip) {
      bytes[static_cast<size_t>(random.below(static_cast<int64_t>(bytes.size())))] ^= static_cast<char>(1 << random.below(8));
    }
    const auto path = put(scratch.path / "b.mp4", bytes);
    try {
      const auto frames = mvrm::video::read_video(path, {.sampling = mvrm::video::Sampling::linspace, .max_frames = 4});
      EXPECT_EQ(frames.frames.size(), 4U);
    } catch (const mvrm::core::DataError& error) {
      EXPECT_EQ(std::string(error.what()).rfind(path.string() + ": ", 0), 0U) << error.what();
    }
  }
}

TEST(BadPictures, AreErrorsThatNameThePath) {
  const Scratch scratch("bad_pictures");
  write_clip(scratch.path / "p.avi", {{.codec = "png", .frames = 1, .format = AV_PIX_FMT_RGB24}});
  write_clip(scratch.path / "j.avi", {{.codec = "mjpeg", .frames = 1, .format = AV_PIX_FMT_YUVJ420P}});
  const std::string png = slurp(scratch.path / "p.avi").substr(slurp(scratch.path / "p.avi").find("\x89PNG"));
  const std::string jpeg = slurp(scratch.path / "j.avi").substr(slurp(scratch.path / "j.avi").find("\xFF\xD8\xFF"));
  std::string bomb = png;
  bomb.replace(16, 8, std::string("\x00\x00\x3E\x80\x00\x00\x3E\x80", 8));  // 16000 x 16000
  const uint32_t crc = ~av_crc(av_crc_get_table(AV_CRC_32_IEEE_LE), ~0U, reinterpret_cast<const uint8_t*>(bomb.data() + 12), 17);
  for (size_t i = 0; i < 4; ++i) bomb[29 + i] = static_cast<char>(crc >> (24 - 8 * i));
  const std::pair<std::string, const char*> cases[] = {
      {"", "is empty"},
      {"GIF89a", "is neither JPEG nor PNG"},
      {png.substr(0, 60), "is not a PNG that can be decoded"},
      {bomb, "outside the limits"},
      {jpeg.substr(0, 100), "is not a JPEG that can be decoded"},
      {jpeg.substr(0, jpeg.find("\xFF\xD9") * 9 / 10), "is not a JPEG that can be decoded"},
  };
  for (const auto& [bytes, cause] : cases) {
    const auto path = put(scratch.path / "a.jpg", bytes);
    try {
      mvrm::video::read_pictures({path}, {});
      FAIL() << cause;
    } catch (const mvrm::core::DataError& error) {
      EXPECT_EQ(std::string(error.what()).rfind(path.string() + ": ", 0), 0U) << error.what();
      EXPECT_NE(std::string(error.what()).find(cause), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(mvrm::video::read_pictures({}, {}), mvrm::core::DataError);
}

}  // namespace
