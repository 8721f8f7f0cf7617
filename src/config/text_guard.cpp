// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include "yaml_tree.h"

namespace mvrm::config {
namespace {

// Bytes of the UTF-8 sequence at the start of `text`, 0 when it is invalid (overlong, surrogate, above U+10FFFF, cut off).
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(text[i])); };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  uint32_t code = lead & (0x7fU >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = (code << 6) | (byte(i) & 0x3f);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return overlong || surrogate || code > 0x10ffff ? 0 : length;
}

}  // namespace

void check_text(std::string_view text, const Place& place) {
  Place here = place;
  const bool has_lines = place.line > 0;
  bool indentation = true;
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const size_t length = utf8_length(text.substr(i));
    if (length == 0) throw error_at(here, "", "invalid UTF-8");
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) {
      throw error_at(here, "", c == 0 ? "NUL byte" : "control character");
    }
    if (c == '\t' && indentation && has_lines) throw error_at(here, "", "tab in the indentation; use spaces");
    if (c != ' ') indentation = c == '\n';
    if (has_lines) {
      ++here.column;
      if (c == '\n') ++here.line, here.column = 1;
    }
    i += length;
  }
}

std::string shown(std::string_view text) {
  size_t limit = 60;
  if (text.size() > limit) {
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80) --limit;   // don't cut a character in two
  }
  std::string line;
  for (const char c : text.substr(0, limit)) line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  return text.size() > limit ? line + "…" : line;
}

}  // namespace mvrm::config
