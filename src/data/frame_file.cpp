// SPDX-License-Identifier: Apache-2.0
// The bytes of an entry of the frame cache. N frames of C x H x W levels, with a mask where they were padded.
#include "frame_cache.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <bit>
#include <cstring>
#include <mvrm/core/random.h>

namespace mvrm::data {

namespace {

struct Head {
  uint64_t checksum = 0;   // of all that follows, and of the key
  int64_t frames = 0, channels = 0, height = 0, width = 0, masked = 0, indices = 0;
};
static_assert(std::endian::native == std::endian::little);

// Eight bytes at a time: several times faster than reading them, and nobody forges entries.
uint64_t checksum_of(std::string_view bytes, const std::string& key) {
  uint64_t hash = core::hash64(key);
  for (size_t i = 0; i < bytes.size(); i += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min(sizeof word, bytes.size() - i));
    hash = (std::rotl(hash, 29) ^ word) * 0x9e3779b97f4a7c15ULL;
  }
  return core::mix64(hash ^ bytes.size());
}

void append(std::string& out, const core::Tensor& tensor) {
  const core::Tensor whole = tensor.contiguous();
  out.append(static_cast<const char*>(whole.const_data_ptr()), whole.nbytes());
}

// Takes `shape` bytes off the front.
core::Tensor take(std::string_view& bytes, at::IntArrayRef shape, at::ScalarType dtype) {
  core::Tensor tensor = at::empty(shape, dtype);
  std::memcpy(tensor.mutable_data_ptr(), bytes.data(), tensor.nbytes());
  bytes.remove_prefix(tensor.nbytes());
  return tensor;
}

}  // namespace

std::string encode(const ModelFrames& frames, const std::string& key) {
  const auto& levels = frames.pixels.levels_NCHW;
  Head head{.frames = levels.size(0), .channels = levels.size(1), .height = levels.size(2), .width = levels.size(3),
            .masked = frames.pixels.mask_NHW.defined() ? 1 : 0, .indices = static_cast<int64_t>(frames.frame_indices.size())};
  std::string bytes(kFrameFormat);
  bytes.append(reinterpret_cast<const char*>(&head), sizeof head);
  bytes.append(reinterpret_cast<const char*>(frames.frame_indices.data()), frames.frame_indices.size() * sizeof(int64_t));
  append(bytes, levels);
  if (head.masked != 0) append(bytes, frames.pixels.mask_NHW);
  head.checksum = checksum_of(std::string_view(bytes).substr(kFrameFormat.size() + sizeof head.checksum), key);
  std::memcpy(bytes.data() + kFrameFormat.size(), &head.checksum, sizeof head.checksum);
  return bytes;
}

std::optional<ModelFrames> decode(std::string_view bytes, const std::string& key) {
  Head head;
  if (bytes.size() < kFrameFormat.size() + sizeof head || !bytes.starts_with(kFrameFormat)) return std::nullopt;
  bytes.remove_prefix(kFrameFormat.size());
  std::memcpy(&head, bytes.data(), sizeof head);
  if (checksum_of(bytes.substr(sizeof head.checksum), key) != head.checksum) return std::nullopt;
  bytes.remove_prefix(sizeof head);
  // Behind the checksum these are what encode() wrote; they are looked at all the same, since buffers hang on them.
  constexpr int64_t kMost = 100'000;   // of each: products stay far below 2^63
  const auto fits = [](int64_t size) { return size >= 0 && size <= kMost; };
  if (!fits(head.frames) || !fits(head.height) || !fits(head.width) || !fits(head.indices) || head.channels != 3 || (head.masked != 0 && head.masked != 1)) return std::nullopt;
  const int64_t pixels = head.frames * head.height * head.width;
  if (pixels * (head.channels + head.masked) + head.indices * 8 != static_cast<int64_t>(bytes.size())) return std::nullopt;
  ModelFrames frames{.pixels = {}, .frame_indices = std::vector<int64_t>(static_cast<size_t>(head.indices))};
  std::memcpy(frames.frame_indices.data(), bytes.data(), frames.frame_indices.size() * sizeof(int64_t));
  bytes.remove_prefix(frames.frame_indices.size() * sizeof(int64_t));
  frames.pixels.levels_NCHW = take(bytes, {head.frames, head.channels, head.height, head.width}, at::kByte);
  if (head.masked != 0) frames.pixels.mask_NHW = take(bytes, {head.frames, head.height, head.width}, at::kBool);
  return frames;
}

}  // namespace mvrm::data
