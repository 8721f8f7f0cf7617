// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <mvrm/config/yaml_reader.h>

#include "values.h"

namespace mvrm::config {
namespace {

// Plain where no reader of YAML could take it for anything else, double-quoted otherwise.
std::string quoted(const std::string& text) {
  const auto safe = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '/' || c == '-' ||
           c == '+' || c == ' ';
  };
  const auto edge = [](char c) { return c != '-' && c != ' ' && c != '.'; };
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), safe) && edge(text.front()) && text.back() != ' ';
  if (plain && lower != "null") return text;
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result.append("\\").push_back(c);
    } else if (byte < 0x20 || byte == 0x7f) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      result.append("\\x").push_back(kDigits[byte >> 4]);
      result.push_back(kDigits[byte & 15]);
    } else {
      result.push_back(c);
    }
  }
  return result + "\"";
}

std::string text_of(int64_t value) { return std::to_string(value); }
std::string text_of(uint64_t value) { return std::to_string(value); }
std::string text_of(double value) { return number_text(value); }
std::string text_of(bool value) { return value ? "true" : "false"; }
std::string text_of(const std::string& value) { return quoted(value); }
std::string text_of(const std::filesystem::path& value) { return quoted(value.string()); }
template <class T>
std::string text_of(const std::optional<T>& value) {
  return value ? text_of(*value) : "null";
}
template <class T>
std::string text_of(const std::vector<T>& values) {
  std::string text = "[";
  for (const T& value : values) text.append(text.size() > 1 ? ", " : "").append(text_of(value));
  return text + "]";
}
std::string text_of(const std::map<std::string, double>& values) {
  std::string text = "{";
  for (const auto& [key, value] : values) text.append(text.size() > 1 ? ", " : "").append(quoted(key)).append(": ").append(text_of(value));
  return text + "}";
}
// Empty when nothing is set: the key is left out, for an empty value can't be read.
std::string text_of(const ScalarOrMap& value) {
  if (!value.map.empty()) return text_of(value.map);
  if (!value.word.empty()) return value.word;
  return value.scalar ? text_of(*value.scalar) : "";
}

void write(const std::vector<Field>& fields, size_t indentation, std::string& out) {
  for (const Field& field : fields) {
    const std::string key = std::string(indentation, ' ') + quoted(field.key) + ":";
    if (!field.value) {
      out.append(key).append("\n");
      write(field.fields, indentation + 2, out);
      continue;
    }
    const std::string text = std::visit([](const auto* value) { return text_of(*value); }, *field.value);
    if (!text.empty()) out.append(key).append(" ").append(text).append("\n");
  }
}

}  // namespace

std::string yaml_of_fields(const std::vector<Field>& fields) {
  std::string out;
  write(fields, 0, out);
  return out;
}

}  // namespace mvrm::config
