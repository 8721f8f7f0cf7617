// SPDX-License-Identifier: Apache-2.0
// nlohmann's tree keeps the last of two equal keys and nests without bound; its events show both before a tree is built.
// (Its parse callback would too, but looks through all earlier values at the end of each one.)
#include "json_guard.h"

#include <mvrm/core/error.h>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <vector>

namespace mvrm::core {
namespace {

using nlohmann::json;

class Guard {
 public:
  Guard(const JsonBounds& bounds, const std::string& what) : bounds_(bounds), what_(what) {}

  bool null() { return count(); }
  bool boolean(bool) { return count(); }
  bool number_integer(json::number_integer_t) { return count(); }
  bool number_unsigned(json::number_unsigned_t) { return count(); }
  bool number_float(json::number_float_t, const std::string&) { return count(); }
  bool string(std::string&) { return count(); }
  bool binary(json::binary_t&) { return count(); }
  bool start_object(size_t) { return open(); }
  bool end_object() { return close(); }
  bool start_array(size_t) { return open(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    auto& keys = keys_of_open_values_.back();
    if (!keys.insert(name).second) throw model_error("duplicate key '" + printable(name) + "' in " + what_);
    if (keys_of_open_values_.size() == 1 && keys.size() > bounds_.root_keys)
      throw model_error("more than " + std::to_string(bounds_.root_keys) + " " + bounds_.root_key_name);
    return count();
  }
  bool parse_error(size_t, const std::string&, const json::exception& cause) {
    const std::string text = cause.what();   // "[json.exception.parse_error.101] parse error at line 1, …": the library's name is nobody's business
    throw model_error(what_ + " is not JSON: " + printable(text.substr(text.starts_with("[") ? text.find("] ") + 2 : 0)));
  }

 private:
  bool count() {
    if (++values_ > bounds_.values) throw model_error(what_ + " holds more than " + std::to_string(bounds_.values) + " values");
    return true;
  }
  bool open() {
    keys_of_open_values_.emplace_back();
    if (keys_of_open_values_.size() > bounds_.depth)
      throw model_error(what_ + " nests deeper than " + std::to_string(bounds_.depth) + " levels");
    return count();
  }
  bool close() {
    keys_of_open_values_.pop_back();
    return true;
  }

  const JsonBounds& bounds_;
  const std::string& what_;
  size_t values_ = 0;
  std::vector<std::unordered_set<std::string>> keys_of_open_values_;
};

}  // namespace

void check_json(std::string_view text, const JsonBounds& bounds, const std::string& what) {
  // nlohmann skips a byte order mark and takes NUL for the end of the text; JSON allows neither.
  if (text.find('\0') != std::string_view::npos) throw model_error(what + " holds a NUL byte");
  if (text.starts_with("\xef\xbb\xbf")) throw model_error(what + " starts with a byte order mark");
  Guard guard(bounds, what);
  json::sax_parse(text.begin(), text.end(), &guard);
}

std::string printable(std::string_view text) {
  constexpr size_t kMaxShown = 200;
  std::string shown;
  for (const char c : text.substr(0, kMaxShown)) shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return text.size() > kMaxShown ? shown + "…" : shown;
}

}  // namespace mvrm::core
