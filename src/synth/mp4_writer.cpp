// SPDX-License-Identifier: Apache-2.0
// H.264 in mp4 through libav. One thread and bit-exact flags: the same frames give the same file.
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}
#include <memory>
#include <mvrm/core/error.h>
#include <mvrm/synth/synth.h>
#include <unistd.h>

namespace mvrm::synth {

namespace fs = std::filesystem;

namespace {

struct FrameFree { void operator()(AVFrame* p) const { av_frame_free(&p); } };
struct PacketFree { void operator()(AVPacket* p) const { av_packet_free(&p); } };
struct CodecFree { void operator()(AVCodecContext* p) const { avcodec_free_context(&p); } };
struct ScalerFree { void operator()(SwsContext* p) const { sws_freeContext(p); } };
struct MuxerFree {
  void operator()(AVFormatContext* p) const {
    if (p->pb != nullptr) avio_closep(&p->pb);
    avformat_free_context(p);
  }
};

class Encoder {
 public:
  Encoder(const fs::path& path, const video::Frame& first, double frames_per_second) : path_(path) {
    const AVCodec* codec = avcodec_find_encoder_by_name("libx264");
    if (codec == nullptr) codec = avcodec_find_encoder(AV_CODEC_ID_MPEG4);
    if (codec == nullptr) throw core::io_error(path.string() + ": this libav has neither an H.264 nor an MPEG-4 encoder");
    AVFormatContext* muxer = nullptr;
    check(avformat_alloc_output_context2(&muxer, nullptr, "mp4", path.c_str()), "can't be made");
    muxer_.reset(muxer);
    muxer->flags |= AVFMT_FLAG_BITEXACT;   // no time of day, no library version
    codec_.reset(avcodec_alloc_context3(codec));
    codec_->width = static_cast<int>(first.width);
    codec_->height = static_cast<int>(first.height);
    codec_->pix_fmt = AV_PIX_FMT_YUV420P;
    codec_->time_base = {1, static_cast<int>(frames_per_second)};
    codec_->framerate = {static_cast<int>(frames_per_second), 1};
    codec_->thread_count = 1;
    codec_->flags |= AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_GLOBAL_HEADER;
    av_opt_set(codec_->priv_data, "crf", "10", 0);
    av_opt_set(codec_->priv_data, "preset", "veryfast", 0);
    // x264's macroblock tree reads memory that nobody wrote (Debian 12): the same frames would give other bytes from run to run.
    av_opt_set(codec_->priv_data, "x264-params", "mbtree=0", 0);
    codec_->global_quality = 2 * FF_QP2LAMBDA;   // the MPEG-4 encoder's scale
    check(avcodec_open2(codec_.get(), codec, nullptr), "can't be encoded");
    stream_ = avformat_new_stream(muxer, nullptr);
    stream_->time_base = codec_->time_base;
    check(avcodec_parameters_from_context(stream_->codecpar, codec_.get()), "can't be encoded");
    check(avio_open(&muxer->pb, path.c_str(), AVIO_FLAG_WRITE), "can't be opened for writing");
    check(avformat_write_header(muxer, nullptr), "can't be written");
    scaler_.reset(sws_getContext(codec_->width, codec_->height, AV_PIX_FMT_RGB24, codec_->width, codec_->height, AV_PIX_FMT_YUV420P,
                                 SWS_BILINEAR | SWS_ACCURATE_RND | SWS_BITEXACT, nullptr, nullptr, nullptr));
    picture_.reset(av_frame_alloc());
    picture_->format = AV_PIX_FMT_YUV420P;
    picture_->width = codec_->width;
    picture_->height = codec_->height;
    check(av_frame_get_buffer(picture_.get(), 0), "can't be encoded");
  }

  void add(const video::Frame& frame, int64_t number) {
    check(av_frame_make_writable(picture_.get()), "can't be encoded");
    const uint8_t* planes[] = {frame.rgb_HWC.data()};
    const int strides[] = {static_cast<int>(3 * frame.width)};
    sws_scale(scaler_.get(), planes, strides, 0, codec_->height, picture_->data, picture_->linesize);
    picture_->pts = number;
    send(picture_.get());
  }
  void finish() {
    send(nullptr);
    check(av_write_trailer(muxer_.get()), "can't be finished");
  }

 private:
  void check(int code, const char* what) const {
    if (code >= 0) return;
    char words[AV_ERROR_MAX_STRING_SIZE] = {};
    av_strerror(code, words, sizeof words);
    throw core::io_error(path_.string() + ": " + what + ": " + words);
  }
  void send(const AVFrame* frame) {
    check(avcodec_send_frame(codec_.get(), frame), "can't be encoded");
    const std::unique_ptr<AVPacket, PacketFree> packet(av_packet_alloc());
    while (true) {
      const int code = avcodec_receive_packet(codec_.get(), packet.get());
      if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return;
      check(code, "can't be encoded");
      packet->duration = 1;
      av_packet_rescale_ts(packet.get(), codec_->time_base, stream_->time_base);
      check(av_interleaved_write_frame(muxer_.get(), packet.get()), "can't be written");
    }
  }

  fs::path path_;
  std::unique_ptr<AVFormatContext, MuxerFree> muxer_;
  std::unique_ptr<AVCodecContext, CodecFree> codec_;
  std::unique_ptr<SwsContext, ScalerFree> scaler_;
  std::unique_ptr<AVFrame, FrameFree> picture_;
  AVStream* stream_ = nullptr;
};

}  // namespace

void write_mp4(const fs::path& path, const video::Frames& frames, double frames_per_second) {
  MVRM_CHECK(!frames.frames.empty(), "no frames for ", path.string());
  const auto& first = frames.frames.front();
  MVRM_CHECK(first.width % 2 == 0 && first.height % 2 == 0, "4:2:0 video needs even sides, got ", first.height, "x", first.width);
  av_log_set_level(AV_LOG_ERROR);
  // Under another name until it is whole: a killed run leaves no half clip.
  fs::path temporary = path;
  temporary += ".tmp-" + std::to_string(::getpid());
  {
    Encoder encoder(temporary, first, frames_per_second);
    for (size_t i = 0; i < frames.frames.size(); ++i) encoder.add(frames.frames[i], static_cast<int64_t>(i));
    encoder.finish();
  }
  fs::rename(temporary, path);
}

}  // namespace mvrm::synth
