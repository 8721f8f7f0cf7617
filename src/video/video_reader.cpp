// SPDX-License-Identifier: Apache-2.0
// Sequential decoding: clips are short, seeking costs more than it saves, and frame numbers stay exact.
#include <mvrm/video/video_reader.h>

#include "av.h"
#include "limits.h"
#include "regular_file.h"

#include <algorithm>
#include <functional>
#include <unistd.h>

namespace mvrm::video {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFormats = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpegts";
constexpr int64_t kMaxScannedFrames = 20000;
constexpr int kIoBufferBytes = 1 << 16;

int read_bytes(void* opaque, uint8_t* buffer, int size) {
  const ssize_t got = ::read(static_cast<const RegularFile*>(opaque)->descriptor(), buffer, static_cast<size_t>(size));
  return got > 0 ? static_cast<int>(got) : got == 0 ? AVERROR_EOF : AVERROR(errno);
}

int64_t seek_bytes(void* opaque, int64_t offset, int whence) {
  const auto* file = static_cast<const RegularFile*>(opaque);
  if ((whence & AVSEEK_SIZE) != 0) return file->size();
  return ::lseek(file->descriptor(), offset, whence & ~AVSEEK_FORCE);
}

// One clip, opened over its descriptor so that no protocol and no second file is ever reached.
class Decoder {
 public:
  explicit Decoder(const fs::path& path) : path_(path), file_(path) {
    auto* buffer = static_cast<unsigned char*>(av_malloc(kIoBufferBytes));
    io_.reset(avio_alloc_context(buffer, kIoBufferBytes, 0, &file_, read_bytes, nullptr, seek_bytes));
    AVFormatContext* format = avformat_alloc_context();
    format->pb = io_.get();
    format->flags |= AVFMT_FLAG_CUSTOM_IO;
    format->probesize = 5 << 20;
    format->max_streams = 64;
    format->format_whitelist = av_strdup(kFormats);
    av_check(avformat_open_input(&format, nullptr, nullptr, nullptr), "is not a video that can be read", path_);
    format_.reset(format);
    av_check(avformat_find_stream_info(format, nullptr), "has no readable streams", path_);
    const AVCodec* codec = nullptr;
    stream_ = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (stream_ < 0 || codec == nullptr) throw core::DataError(path_.string() + ": has no video stream that can be decoded");
    open_codec(codec);
  }

  // Frames that the container declares; 0 when it doesn't say.
  int64_t declared_frames() const { return format_->streams[stream_]->nb_frames; }

  // Calls `use` for every frame in decode order until it returns false. Gives the number of frames seen.
  int64_t decode(const std::function<bool(int64_t, const AVFrame&)>& use) {
    PacketPtr packet(av_packet_alloc());
    FramePtr frame(av_frame_alloc());
    int64_t count = 0;
    bool draining = false;
    while (true) {
      if (!draining) draining = !send_next(*packet);
      int code = 0;
      while ((code = avcodec_receive_frame(codec_.get(), frame.get())) >= 0) {
        check_picture(frame->width, frame->height, path_);
        if (count >= kMaxScannedFrames) throw core::DataError(path_.string() + ": has more than " + std::to_string(kMaxScannedFrames) + " frames");
        if (!use(count++, *frame)) return count;
      }
      if (code == AVERROR_EOF) return count;
      if (code != AVERROR(EAGAIN)) av_check(code, "can't be decoded", path_);
    }
  }

  double seconds_of(const AVFrame& frame) const {
    const int64_t pts = frame.best_effort_timestamp;
    return pts == AV_NOPTS_VALUE ? 0.0 : static_cast<double>(pts) * av_q2d(format_->streams[stream_]->time_base);
  }

 private:
  void open_codec(const AVCodec* codec) {
    codec_.reset(avcodec_alloc_context3(codec));
    av_check(avcodec_parameters_to_context(codec_.get(), format_->streams[stream_]->codecpar), "has a broken stream header", path_);
    if (codec_->width > 0 || codec_->height > 0) check_picture(codec_->width, codec_->height, path_);
    codec_->thread_count = 1;   // clips are decoded in parallel, not frames (spec/training.md 4.2)
    codec_->max_pixels = kMaxPixels;
    av_check(avcodec_open2(codec_.get(), codec, nullptr), "needs a codec that can't be opened", path_);
  }

  // False once the file has ended and the decoder was told so.
  bool send_next(AVPacket& packet) {
    while (true) {
      const int code = av_read_frame(format_.get(), &packet);
      if (code == AVERROR_EOF) {
        avcodec_send_packet(codec_.get(), nullptr);
        return false;
      }
      av_check(code, "can't be read to its end", path_);
      const bool ours = packet.stream_index == stream_;
      const int sent = ours ? avcodec_send_packet(codec_.get(), &packet) : 0;
      av_packet_unref(&packet);
      if (ours) {
        if (sent != AVERROR(EAGAIN)) av_check(sent, "holds data that can't be decoded", path_);
        return true;
      }
    }
  }

  fs::path path_;
  RegularFile file_;
  IoPtr io_;
  FormatPtr format_;
  CodecPtr codec_;
  int stream_ = -1;
};

class RgbConverter {
 public:
  explicit RgbConverter(fs::path path) : path_(std::move(path)) {}
  Frame convert(const AVFrame& source) {
    if (!scaler_) {
      width_ = source.width;
      height_ = source.height;
      format_ = source.format;
      // Bilinear chroma, the default of PyAV's to_ndarray(rgb24); exact rounding keeps every machine's SIMD path the same.
      scaler_.reset(sws_getContext(width_, height_, static_cast<AVPixelFormat>(format_), width_, height_, AV_PIX_FMT_RGB24, SWS_BILINEAR,
                                   nullptr, nullptr, nullptr));
      if (!scaler_) throw core::DataError(path_.string() + ": has a pixel format that can't be converted to RGB");
    }
    if (source.width != width_ || source.height != height_ || source.format != format_) {
      throw core::DataError(path_.string() + ": changes its frame size or pixel format on the way");
    }
    Frame frame{.height = height_, .width = width_, .rgb_HWC = {}};
    // swscale writes up to 32 bytes behind a row, so it gets an aligned picture of its own.
    const int stride = (3 * width_ + 63) & ~63;
    buffer_.resize(static_cast<size_t>(stride) * static_cast<size_t>(height_) + 64);
    uint8_t* planes[4] = {buffer_.data(), nullptr, nullptr, nullptr};
    const int strides[4] = {stride, 0, 0, 0};
    av_check(sws_scale(scaler_.get(), source.data, source.linesize, 0, height_, planes, strides), "can't be converted to RGB", path_);
    frame.rgb_HWC.resize(static_cast<size_t>(3 * width_) * static_cast<size_t>(height_));
    for (int y = 0; y < height_; ++y) {
      std::copy_n(buffer_.data() + static_cast<size_t>(y) * static_cast<size_t>(stride), 3 * width_,
                  frame.rgb_HWC.data() + static_cast<size_t>(y) * static_cast<size_t>(3 * width_));
    }
    return frame;
  }

 private:
  fs::path path_;
  ScalerPtr scaler_;
  int width_ = 0, height_ = 0, format_ = -1;
  std::vector<uint8_t> buffer_;
};

int64_t count_frames(const fs::path& path) {
  return Decoder(path).decode([](int64_t, const AVFrame&) { return true; });
}

}  // namespace

Frames read_video(const fs::path& path, const SampleRule& rule) {
  Decoder decoder(path);
  const int64_t declared = decoder.declared_frames();
  const int64_t total = declared > 0 ? declared : count_frames(path);
  if (total == 0) throw core::DataError(path.string() + ": holds no frames");
  Frames result{.frames = {}, .indices = sample_indices(rule.sampling, total, rule.max_frames), .start_seconds = {}, .total = total};
  RgbConverter converter(path);
  size_t wanted = 0;
  // Decoded to the end even when the last wanted frame is early: a file that was cut short must not pass.
  const int64_t decoded = decoder.decode([&](int64_t index, const AVFrame& frame) {
    if (wanted < result.indices.size() && result.indices[wanted] == index) {
      result.frames.push_back(converter.convert(frame));
      result.start_seconds.push_back(decoder.seconds_of(frame));
      for (++wanted; wanted < result.indices.size() && result.indices[wanted] == index; ++wanted) {
        result.frames.push_back(result.frames.back());
        result.start_seconds.push_back(result.start_seconds.back());
      }
    }
    return true;
  });
  if (decoded < total) {
    throw core::DataError(path.string() + ": is truncated: " + std::to_string(decoded) + " of " + std::to_string(total) + " frames can be decoded");
  }
  return result;
}

std::string library_version() {
  const unsigned version = avcodec_version();
  return std::to_string(AV_VERSION_MAJOR(version)) + "." + std::to_string(AV_VERSION_MINOR(version)) + "." + std::to_string(AV_VERSION_MICRO(version));
}

}  // namespace mvrm::video
