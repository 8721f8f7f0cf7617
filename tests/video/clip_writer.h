// SPDX-License-Identifier: Apache-2.0
// Makes clips for tests through libav, good ones and strange ones. Frame i of a stream is one grey level, level_of(i), so that a
// test can tell which frame it was given.
#pragma once
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}
#include <mvrm/core/random.h>
#include <filesystem>

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace mvrm::test {

inline int level_of(int64_t frame) { return static_cast<int>(20 + 13 * frame % 220); }

struct StreamSpec {
  std::string codec = "libx264";
  int width = 64, height = 48, frames = 16;
  AVPixelFormat format = AV_PIX_FMT_YUV420P;
  AVRational time_base{1, 8};
  std::vector<int64_t> pts = {};                    // in time_base; empty = 0, 1, 2 …
  std::map<std::string, std::string> options = {};  // of the encoder
  AVRational pixel_aspect{1, 1};
  AVColorRange range = AVCOL_RANGE_UNSPECIFIED;
  double rotation = 0;   // degrees, as a display matrix
  bool cover = false;    // an attached picture
  int skip_packets = 0;  // the first packets are lost
  bool noise = false;    // noise instead of grey: a large file
  int64_t duration = 1;  // of a frame, in time_base; 0 makes mp4's edit list leave out the last one
};
using MuxerOptions = std::map<std::string, std::string>;

class ClipWriter {
 public:
  ClipWriter(const std::filesystem::path& path, const std::vector<StreamSpec>& streams, const MuxerOptions& options, bool audio) {
    av_log_set_level(AV_LOG_QUIET);
    check(avformat_alloc_output_context2(&muxer_, nullptr, nullptr, path.c_str()), "muxer");
    muxer_->flags |= AVFMT_FLAG_BITEXACT;
    for (const auto& spec : streams) add_stream(spec);
    if (audio) add_audio();
    check(avio_open(&muxer_->pb, path.c_str(), AVIO_FLAG_WRITE), "file");
    AVDictionary* dictionary = nullptr;
    for (const auto& [key, value] : options) av_dict_set(&dictionary, key.c_str(), value.c_str(), 0);
    const int code = avformat_write_header(muxer_, &dictionary);
    av_dict_free(&dictionary);
    check(code, "header");
    for (size_t s = 0; s < streams.size(); ++s) encode(streams[s], static_cast<int>(s));
    if (audio) write_audio(static_cast<int>(streams.size()));
    check(av_write_trailer(muxer_), "trailer");
  }
  ~ClipWriter() {
    for (auto*& codec : codecs_) avcodec_free_context(&codec);
    if (muxer_ != nullptr && muxer_->pb != nullptr) avio_closep(&muxer_->pb);
    avformat_free_context(muxer_);
  }
  ClipWriter(const ClipWriter&) = delete;
  ClipWriter& operator=(const ClipWriter&) = delete;

 private:
  static void check(int code, const char* what) {
    if (code < 0) throw std::runtime_error(std::string("clip writer: ") + what + " fails with " + std::to_string(code));
  }

  void add_stream(const StreamSpec& spec) {
    const AVCodec* encoder = avcodec_find_encoder_by_name(spec.codec.c_str());
    if (encoder == nullptr) throw std::runtime_error("clip writer: no encoder " + spec.codec);
    AVCodecContext* codec = avcodec_alloc_context3(encoder);
    codecs_.push_back(codec);
    codec->width = spec.width;
    codec->height = spec.height;
    codec->pix_fmt = spec.format;
    codec->time_base = spec.time_base;
    codec->thread_count = 1;
    codec->sample_aspect_ratio = spec.pixel_aspect;
    codec->color_range = spec.range;
    codec->strict_std_compliance = FF_COMPLIANCE_UNOFFICIAL;
    codec->flags |= AV_CODEC_FLAG_BITEXACT;
    if ((muxer_->oformat->flags & AVFMT_GLOBALHEADER) != 0) codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    for (const auto& [key, value] : spec.options)
      check(av_opt_set(codec, key.c_str(), value.c_str(), AV_OPT_SEARCH_CHILDREN), "encoder option");
    check(avcodec_open2(codec, encoder, nullptr), "encoder");
    AVStream* stream = avformat_new_stream(muxer_, nullptr);
    stream->time_base = spec.time_base;
    stream->sample_aspect_ratio = spec.pixel_aspect;
    check(avcodec_parameters_from_context(stream->codecpar, codec), "parameters");
    if (spec.cover) stream->disposition |= AV_DISPOSITION_ATTACHED_PIC;
    if (spec.rotation != 0) {
      auto* matrix = av_stream_new_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, 9 * sizeof(int32_t));
      av_display_rotation_set(reinterpret_cast<int32_t*>(matrix), spec.rotation);
    }
  }

  void encode(const StreamSpec& spec, int index) {
    SwsContext* scaler = sws_getContext(spec.width, spec.height, AV_PIX_FMT_GRAY8, spec.width, spec.height, spec.format, SWS_POINT, nullptr,
                                        nullptr, nullptr);
    AVFrame* frame = av_frame_alloc();
    frame->format = spec.format;
    frame->width = spec.width;
    frame->height = spec.height;
    frame->color_range = spec.range;
    check(av_frame_get_buffer(frame, 0), "frame");
    int skip = spec.skip_packets;
    for (int i = 0; i < spec.frames; ++i) {
      check(av_frame_make_writable(frame), "frame");
      std::vector<uint8_t> grey(static_cast<size_t>(spec.width) * static_cast<size_t>(spec.height) + 64, static_cast<uint8_t>(level_of(i)));
      core::CounterRng random(5, static_cast<uint64_t>(i));
      for (uint8_t& level : grey) level = spec.noise ? static_cast<uint8_t>(random.below(256)) : level;
      const uint8_t* planes[] = {grey.data()};
      const int strides[] = {spec.width};
      sws_scale(scaler, planes, strides, 0, spec.height, frame->data, frame->linesize);
      frame->pts = spec.pts.empty() ? i : spec.pts[static_cast<size_t>(i)];
      send(frame, index, spec, skip);
    }
    send(nullptr, index, spec, skip);
    av_frame_free(&frame);
    sws_freeContext(scaler);
  }

  void send(const AVFrame* frame, int index, const StreamSpec& spec, int& skip) {
    AVCodecContext* codec = codecs_[static_cast<size_t>(index)];
    check(avcodec_send_frame(codec, frame), "encoding");
    AVPacket* packet = av_packet_alloc();
    while (avcodec_receive_packet(codec, packet) >= 0) {
      if (skip > 0) {
        --skip;
        continue;
      }
      packet->stream_index = index;
      packet->duration = spec.duration;
      av_packet_rescale_ts(packet, codec->time_base, muxer_->streams[index]->time_base);
      check(av_interleaved_write_frame(muxer_, packet), "packet");
    }
    av_packet_free(&packet);
  }

  void add_audio() {
    AVStream* stream = avformat_new_stream(muxer_, nullptr);
    stream->codecpar->codec_type = AVMEDIA_TYPE_AUDIO;
    stream->codecpar->codec_id = AV_CODEC_ID_PCM_S16LE;
    stream->codecpar->sample_rate = 8000;
    stream->codecpar->format = AV_SAMPLE_FMT_S16;
    stream->codecpar->bits_per_coded_sample = 16;
    stream->codecpar->block_align = 2;
    stream->codecpar->bit_rate = 128000;
    av_channel_layout_default(&stream->codecpar->ch_layout, 1);
    stream->time_base = {1, 8000};
  }
  void write_audio(int index) {
    AVPacket* packet = av_packet_alloc();
    check(av_new_packet(packet, 16000), "audio");
    std::fill_n(packet->data, 16000, uint8_t{0});
    packet->stream_index = index;
    packet->pts = packet->dts = 0;
    packet->duration = 8000;
    check(av_interleaved_write_frame(muxer_, packet), "audio");
    av_packet_free(&packet);
  }

  AVFormatContext* muxer_ = nullptr;
  std::vector<AVCodecContext*> codecs_;
};

// The container follows from the extension.
inline std::filesystem::path write_clip(const std::filesystem::path& path, const std::vector<StreamSpec>& streams = {StreamSpec{}},
                                        const MuxerOptions& options = {}, bool audio = false) {
  const ClipWriter writer(path, streams, options, audio);
  return path;
}

}  // namespace mvrm::test
