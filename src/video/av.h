// SPDX-License-Identifier: Apache-2.0
// The only file that includes libav: an owner per libav struct, and error codes turned into DataError.
#pragma once
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>
}
#include <filesystem>
#include <memory>
#include <mvrm/core/error.h>
#include <string>

namespace mvrm::video {

struct FormatCloser { void operator()(AVFormatContext* p) const { avformat_close_input(&p); } };
struct CodecCloser { void operator()(AVCodecContext* p) const { avcodec_free_context(&p); } };
struct FrameCloser { void operator()(AVFrame* p) const { av_frame_free(&p); } };
struct PacketCloser { void operator()(AVPacket* p) const { av_packet_free(&p); } };
struct ScalerCloser { void operator()(SwsContext* p) const { sws_freeContext(p); } };
struct IoCloser {
  void operator()(AVIOContext* p) const {
    av_freep(&p->buffer);
    avio_context_free(&p);
  }
};
using FormatPtr = std::unique_ptr<AVFormatContext, FormatCloser>;
using CodecPtr = std::unique_ptr<AVCodecContext, CodecCloser>;
using FramePtr = std::unique_ptr<AVFrame, FrameCloser>;
using PacketPtr = std::unique_ptr<AVPacket, PacketCloser>;
using ScalerPtr = std::unique_ptr<SwsContext, ScalerCloser>;
using IoPtr = std::unique_ptr<AVIOContext, IoCloser>;

// `code` back when it is not an error; else DataError "path: what: libav's words".
inline int av_check(int code, const char* what, const std::filesystem::path& path) {
  if (code >= 0) return code;
  char words[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, words, sizeof words);
  throw core::DataError(path.string() + ": " + what + ": " + words);
}

}  // namespace mvrm::video
