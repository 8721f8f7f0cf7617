// SPDX-License-Identifier: Apache-2.0
// JPEG through libjpeg-turbo with its default (Pillow's) settings, PNG through libpng; told apart by their first bytes.
#include <mvrm/video/video_reader.h>

#include "limits.h"
#include "regular_file.h"

#include <cstdio>
#include <cstring>
#include <jpeglib.h>
#include <png.h>

namespace mvrm::video {

namespace fs = std::filesystem;

namespace {

struct JpegError { std::string message; };

// libjpeg may not return from here; unwinding through it is fine because it holds no C++ objects (its memory is freed by the owner below).
[[noreturn]] void jpeg_fail(j_common_ptr info) {
  char message[JMSG_LENGTH_MAX] = {};
  (*info->err->format_message)(info, message);
  throw JpegError{message};
}
void jpeg_warning(j_common_ptr info, int level) {
  if (level < 0) jpeg_fail(info);   // corrupt data: Pillow refuses it as well
}

struct JpegDecoder {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  JpegDecoder() {
    info.err = jpeg_std_error(&errors);
    errors.error_exit = jpeg_fail;
    errors.emit_message = jpeg_warning;
    jpeg_create_decompress(&info);
  }
  ~JpegDecoder() { jpeg_destroy_decompress(&info); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;
};

Frame decode_jpeg(const std::string& bytes, const fs::path& path) {
  try {
    JpegDecoder decoder;
    auto& info = decoder.info;
    jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_read_header(&info, TRUE);
    check_picture(info.image_width, info.image_height, path);
    info.out_color_space = JCS_RGB;
    jpeg_start_decompress(&info);
    Frame frame{.height = static_cast<int64_t>(info.output_height), .width = static_cast<int64_t>(info.output_width), .rgb_HWC = {}};
    const size_t stride = 3 * static_cast<size_t>(frame.width);
    frame.rgb_HWC.resize(stride * static_cast<size_t>(frame.height));
    while (info.output_scanline < info.output_height) {
      JSAMPROW row = frame.rgb_HWC.data() + stride * info.output_scanline;
      jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_finish_decompress(&info);
    return frame;
  } catch (const JpegError& error) {
    throw core::DataError(path.string() + ": is not a JPEG that can be decoded: " + error.message);
  }
}

struct PngImage {
  png_image image{};
  PngImage() { image.version = PNG_IMAGE_VERSION; }
  ~PngImage() { png_image_free(&image); }
  PngImage(const PngImage&) = delete;
  PngImage& operator=(const PngImage&) = delete;
};

Frame decode_png(const std::string& bytes, const fs::path& path) {
  PngImage owner;
  png_image& image = owner.image;
  const auto fail = [&] { throw core::DataError(path.string() + ": is not a PNG that can be decoded: " + image.message); };
  if (png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) == 0) fail();
  check_picture(image.width, image.height, path);
  image.format = PNG_FORMAT_RGBA;   // alpha is read and dropped, not composited: what a plain RGB conversion does
  std::vector<uint8_t> rgba(PNG_IMAGE_SIZE(image));
  Frame frame{.height = static_cast<int64_t>(image.height), .width = static_cast<int64_t>(image.width), .rgb_HWC = {}};
  if (png_image_finish_read(&image, nullptr, rgba.data(), 0, nullptr) == 0) fail();
  frame.rgb_HWC.reserve(rgba.size() / 4 * 3);
  for (size_t i = 0; i < rgba.size(); i += 4) frame.rgb_HWC.insert(frame.rgb_HWC.end(), {rgba[i], rgba[i + 1], rgba[i + 2]});
  return frame;
}

Frame read_picture(const fs::path& path) {
  const std::string bytes = RegularFile(path).read_all(kMaxPictureBytes);
  if (bytes.rfind("\xFF\xD8\xFF", 0) == 0) return decode_jpeg(bytes, path);
  if (bytes.rfind("\x89PNG\r\n\x1A\n", 0) == 0) return decode_png(bytes, path);
  throw core::DataError(path.string() + ": is neither JPEG nor PNG");
}

}  // namespace

Frames read_pictures(const std::vector<fs::path>& paths, const SampleRule& rule) {
  if (paths.empty()) throw core::DataError("a list of frames is empty");
  const auto total = static_cast<int64_t>(paths.size());
  Frames result{.frames = {}, .indices = sample_indices(rule.sampling, total, rule.max_frames), .start_seconds = {}, .total = total};
  for (const int64_t index : result.indices) {
    result.frames.push_back(read_picture(paths[static_cast<size_t>(index)]));
    result.start_seconds.push_back(static_cast<double>(index));
  }
  return result;
}

}  // namespace mvrm::video
