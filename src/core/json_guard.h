// SPDX-License-Identifier: Apache-2.0
// A look through JSON text before a tree is built of it: what nests too deeply, repeats a key or holds too many values would cost memory
// out of proportion or hide what a reader sees. Private to core.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace mvrm::core {

struct JsonBounds {
  size_t depth = 64;
  size_t values = 100'000;       // objects, lists, strings, numbers …; keys count as values
  size_t root_keys = SIZE_MAX;   // entries of the outermost object
  std::string root_key_name = "keys";
};
// Throws Error (model) whose message holds the cause only and calls the text `what`, e.g. "the header".
void check_json(std::string_view text, const JsonBounds& bounds, const std::string& what);

// Text from a file, shortened and free of control characters, for a message of one line.
std::string printable(std::string_view text);

}  // namespace mvrm::core
