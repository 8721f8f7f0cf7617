// SPDX-License-Identifier: Apache-2.0
// Sequential decoding: clips are short, seeking costs more than it saves, and frame numbers stay exact.
#include <mvrm/video/video_reader.h>

#include "av.h"
#include "limits.h"
#include "regular_file.h"

#include <unistd.h>
#include <algorithm>
#include <ctime>
#include <functional>
#include <vector>

namespace mvrm::video {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFormats = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpegts";
// Decoders by libav's names: what clips come in, and nothing that only an attacker would send.
constexpr const char* kCodecs =
    "h264,hevc,av1,libdav1d,libaom-av1,vp8,vp9,libvpx,libvpx-vp9,mpeg4,mpeg1video,mpeg2video,msmpeg4v2,msmpeg4,mjpeg,png,gif,ffv1,prores,"
    "rawvideo";
constexpr int64_t kMaxScannedFrames = 20000;
constexpr int kIoBufferBytes = 1 << 16;
constexpr double kMaxSeconds = 30;  // of one file

// Of this thread, not of the wall: a busy machine must not turn a good clip into a bad one.
double busy_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// What libav reads from: the open file, and the time that decoding may take.
struct Source {
  const RegularFile* file = nullptr;
  double start = busy_seconds();
  bool late() const { return busy_seconds() - start > kMaxSeconds; }
};

int read_bytes(void* opaque, uint8_t* buffer, int size) {
  const auto* source = static_cast<const Source*>(opaque);
  if (source->late()) return AVERROR_EXIT;
  const ssize_t got = ::read(source->file->descriptor(), buffer, static_cast<size_t>(size));
  return got > 0 ? static_cast<int>(got) : got == 0 ? AVERROR_EOF : AVERROR(errno);
}

int64_t seek_bytes(void* opaque, int64_t offset, int whence) {
  const auto* source = static_cast<const Source*>(opaque);
  if ((whence & AVSEEK_SIZE) != 0) return source->file->size();
  return ::lseek(source->file->descriptor(), offset, whence & ~AVSEEK_FORCE);
}

// libav would write its own lines to stderr; its causes come back as codes, and an error is one line.
void silence_libav() {
  static const bool silent = (av_log_set_level(AV_LOG_QUIET), true);
  static_cast<void>(silent);
}

bool is_listed(const std::string& name, const std::string& list) { return ("," + list + ",").find("," + name + ",") != std::string::npos; }

// One clip, opened over its descriptor so that no protocol and no second file is ever reached.
class Decoder {
 public:
  explicit Decoder(const fs::path& path) : path_(path), file_(path) {
    silence_libav();
    source_.file = &file_;
    auto* buffer = static_cast<unsigned char*>(av_malloc(kIoBufferBytes));
    io_.reset(avio_alloc_context(buffer, kIoBufferBytes, 0, &source_, read_bytes, nullptr, seek_bytes));
    AVFormatContext* format = avformat_alloc_context();
    format->pb = io_.get();
    format->flags |= AVFMT_FLAG_CUSTOM_IO;
    format->probesize = 5 << 20;
    format->max_streams = 64;
    format->format_whitelist = av_strdup(kFormats);
    format->codec_whitelist = av_strdup(kCodecs);
    av_check(avformat_open_input(&format, nullptr, nullptr, nullptr), "is not a video that can be read", path_);
    format_.reset(format);
    read_stream_headers();
    const AVCodec* codec = nullptr;
    stream_ = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (stream_ < 0 || codec == nullptr) throw core::DataError(path_.string() + ": has no video stream that can be decoded");
    if (!is_listed(codec->name, kCodecs))
      throw core::DataError(path_.string() + ": is coded as " + codec->name + ", which is not read; known: " + kCodecs);
    open_codec(codec);
  }

  // Frames that the container declares; 0 when it doesn't say. Of mp4 less those that its edit list hides: trimmed, not missing.
  int64_t declared_frames() const {
    const AVStream* stream = format_->streams[stream_];
    const int listed = std::string(format_->iformat->name).rfind("mov", 0) == 0 ? avformat_index_get_entries_count(stream) : 0;
    if (stream->nb_frames <= 0 || listed == 0) return stream->nb_frames;
    int64_t shown = 0;
    for (int i = 0; i < listed; ++i)
      shown += (avformat_index_get_entry(format_->streams[stream_], i)->flags & AVINDEX_DISCARD_FRAME) == 0 ? 1 : 0;
    return std::min(shown, stream->nb_frames);
  }

  // Calls `use` for every frame in decode order until it returns false. Gives the number of frames seen.
  int64_t decode(const std::function<bool(int64_t, const AVFrame&)>& use) {
    PacketPtr packet(av_packet_alloc());
    FramePtr frame(av_frame_alloc());
    int64_t count = 0;
    bool draining = false;
    while (true) {
      if (source_.late())
        throw core::DataError(path_.string() + ": takes more than " + std::to_string(static_cast<int>(kMaxSeconds)) + " s to decode");
      if (!draining) draining = !send_next(*packet);
      int code = 0;
      while ((code = avcodec_receive_frame(codec_.get(), frame.get())) >= 0) {
        check_picture(frame->width, frame->height, path_);
        if (count >= kMaxScannedFrames)
          throw core::DataError(path_.string() + ": has more than " + std::to_string(kMaxScannedFrames) + " frames");
        if (!use(count++, *frame)) return count;
      }
      if (code == AVERROR_EOF) return count;
      if (code != AVERROR(EAGAIN)) av_check(code, "can't be decoded", path_);
    }
  }

  ClipFacts facts() const { return {.frames = declared_frames(), .height = codec_->height, .width = codec_->width}; }

  double seconds_of(const AVFrame& frame) const {
    const int64_t pts = frame.best_effort_timestamp;
    return pts == AV_NOPTS_VALUE ? 0.0 : static_cast<double>(pts) * av_q2d(format_->streams[stream_]->time_base);
  }

 private:
  // libav decodes a little to find out what a stream holds; sizes are checked before it does.
  void read_stream_headers() {
    const unsigned count = format_->nb_streams;
    std::vector<AVDictionary*> options(count, nullptr);
    for (unsigned s = 0; s < count; ++s) {
      const AVCodecParameters& header = *format_->streams[s]->codecpar;
      if (header.codec_type == AVMEDIA_TYPE_VIDEO && (header.width != 0 || header.height != 0))
        check_picture(header.width, header.height, path_);
    }
    for (auto& entry : options) av_dict_set_int(&entry, "max_pixels", kMaxPixels, 0);
    const int code = avformat_find_stream_info(format_.get(), options.data());
    for (auto& entry : options) av_dict_free(&entry);
    av_check(code, "has no readable streams", path_);
  }

  void open_codec(const AVCodec* codec) {
    codec_.reset(avcodec_alloc_context3(codec));
    av_check(avcodec_parameters_to_context(codec_.get(), format_->streams[stream_]->codecpar), "has a broken stream header", path_);
    if (codec_->width > 0 || codec_->height > 0) check_picture(codec_->width, codec_->height, path_);
    codec_->thread_count = 1;  // clips are decoded in parallel, not frames (spec/training.md 4.2)
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
      const bool cut = (packet.flags & AV_PKT_FLAG_CORRUPT) != 0;  // the file ended inside it
      av_packet_unref(&packet);
      if (ours) {
        if (sent < 0 && cut) throw core::DataError(path_.string() + ": is truncated: its data ends inside a frame");
        if (sent != AVERROR(EAGAIN)) av_check(sent, "holds data that can't be decoded", path_);
        return true;
      }
    }
  }

  fs::path path_;
  RegularFile file_;
  Source source_;
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

// Before anybody draws up indices: a header may declare billions of frames.
void check_declared(int64_t declared, const fs::path& path) {
  if (declared > kMaxScannedFrames) {
    throw core::DataError(path.string() + ": declares " + std::to_string(declared) + " frames, more than " +
                          std::to_string(kMaxScannedFrames));
  }
}

}  // namespace

Frames read_video(const fs::path& path, const SampleRule& rule) {
  Decoder decoder(path);
  const int64_t declared = decoder.declared_frames();
  check_declared(declared, path);
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
    throw core::DataError(path.string() + ": is truncated: " + std::to_string(decoded) + " of " + std::to_string(total) +
                          " frames can be decoded");
  }
  return result;
}

ClipFacts clip_facts(const fs::path& path) {
  const ClipFacts facts = Decoder(path).facts();
  check_declared(facts.frames, path);
  return facts;
}

std::string library_version() {
  const unsigned version = avcodec_version();
  return std::to_string(AV_VERSION_MAJOR(version)) + "." + std::to_string(AV_VERSION_MINOR(version)) + "." +
         std::to_string(AV_VERSION_MICRO(version));
}

}  // namespace mvrm::video
