// SPDX-License-Identifier: Apache-2.0
// The wire format of protocol buffers: a varint of field number and type, then a varint, 4 or 8 bytes, or a length and that many bytes.
#include "sentencepiece_guard.h"

#include <cstdint>
#include <mvrm/core/error.h>
#include <optional>

namespace mvrm::text {
namespace {

constexpr int64_t kMaxPieces = 131'072;
// sentencepiece_model.proto: ModelProto and NormalizerSpec
constexpr uint64_t kPieces = 1, kNormalizer = 3, kDenormalizer = 5, kCharsmap = 2;

struct Field {
  uint64_t number = 0;
  std::string_view content;   // of a field with a length
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool done() const { return rest_.empty(); }
  // nullopt: cut or malformed.
  std::optional<Field> next() {
    uint64_t tag = 0, value = 0;
    if (!varint(tag)) return std::nullopt;
    Field field{.number = tag >> 3, .content = {}};
    switch (tag & 7) {
      case 0: return varint(value) ? std::optional(field) : std::nullopt;
      case 1: return take(8) ? std::optional(field) : std::nullopt;
      case 5: return take(4) ? std::optional(field) : std::nullopt;
      case 2: {
        if (!varint(value) || value > rest_.size()) return std::nullopt;
        field.content = rest_.substr(0, value);
        rest_.remove_prefix(value);
        return field;
      }
      default: return std::nullopt;
    }
  }

 private:
  bool take(size_t count) {
    if (rest_.size() < count) return false;
    rest_.remove_prefix(count);
    return true;
  }
  bool varint(uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  std::string_view rest_;
};

bool has_charsmap(std::string_view normalizer) {
  for (Reader reader(normalizer); !reader.done();) {
    const auto field = reader.next();
    if (!field) return false;   // the library says so itself
    if (field->number == kCharsmap && !field->content.empty()) return true;
  }
  return false;
}

}  // namespace

void check_sentencepiece(std::string_view bytes, const std::filesystem::path& path) {
  const auto fail = [&](const std::string& why) { throw core::model_error(path.string() + ": is not a SentencePiece model that can be used: " + why); };
  int64_t pieces = 0;
  for (Reader reader(bytes); !reader.done();) {
    const auto field = reader.next();
    if (!field) fail("its structure is cut or malformed");
    if (field->number == kPieces && ++pieces > kMaxPieces) fail("more than " + std::to_string(kMaxPieces) + " pieces");
    if ((field->number == kNormalizer || field->number == kDenormalizer) && has_charsmap(field->content)) fail("it normalises text by a table");
  }
  if (pieces == 0) fail("it has no pieces");
}

}  // namespace mvrm::text
