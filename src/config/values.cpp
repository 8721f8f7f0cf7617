// SPDX-License-Identifier: Apache-2.0
#include "values.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "suggestion.h"
#include "yaml_tree.h"

namespace mvrm::config {
namespace {

// Where a value stands and what holds for it.
struct Context {
  const Place& place;
  const std::string& path;
  const std::vector<Check>& checks;
};

core::ConfigError wrong(const Context& at, const std::string& why, const std::string& got) {
  return error_at(at.place, at.path, why + ", got '" + shown(got) + "'");
}

void check_number(double value, const std::string& text, const Context& at) {
  for (const Check& check : at.checks) {
    using Kind = Check::Kind;
    if (check.kind == Kind::positive && !(value > 0)) throw wrong(at, "must be > 0", text);
    if (check.kind == Kind::at_least && !(value >= check.low)) throw wrong(at, "must be >= " + number_text(check.low), text);
    if (check.kind == Kind::in_range && !(value >= check.low && value <= check.high))
      throw wrong(at, "must be between " + number_text(check.low) + " and " + number_text(check.high), text);
  }
}

void check_word(const std::string& text, const Context& at) {
  for (const Check& check : at.checks) {
    if (check.kind == Check::Kind::required && text.empty()) throw error_at(at.place, at.path, "must not be empty");
    if (check.kind != Check::Kind::one_of || std::find(check.words.begin(), check.words.end(), text) != check.words.end()) continue;
    const auto near = nearest(text, check.words);
    throw error_at(at.place, at.path, "must be one of " + joined(check.words) + ", got '" + shown(text) + "'" +
                                          (near ? "; did you mean '" + *near + "'?" : ""));
  }
}

const std::string& scalar_text(const Node& node, const char* what, const Context& at) {
  if (node.kind == Node::Kind::scalar) return node.text;
  const char* got = node.kind == Node::Kind::null ? "nothing (null)" : node.kind == Node::Kind::map ? "a mapping" : "a list";
  throw error_at(at.place, at.path, std::string("must be ") + what + ", got " + got);
}

// The digits without a plus sign. YAML 1.1 takes 010 for eight and YAML 1.2 for ten, so neither is guessed.
std::string_view digits_of(const std::string& text, const Context& at) {
  std::string_view digits = text;
  if (digits.size() > 1 && digits[0] == '+' && digits[1] != '-') digits.remove_prefix(1);
  const std::string_view unsigned_digits = digits.substr(digits.starts_with('-') ? 1 : 0);
  const bool leading_zero = unsigned_digits.size() > 1 && unsigned_digits[0] == '0' && unsigned_digits.find_first_of("0123456789", 1) == 1;
  if (leading_zero) throw wrong(at, "must be a number without leading zeros (there are no octal numbers)", text);
  return digits;
}

template <class Integer>
void assign_integer(const Node& node, Integer& value, const char* what, const Context& at) {
  const std::string& text = scalar_text(node, what, at);
  const std::string_view digits = digits_of(text, at);
  Integer parsed = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed);
  if (error == std::errc::result_out_of_range) throw wrong(at, "is out of the range of 64-bit integers", text);
  if (error != std::errc() || end != digits.data() + digits.size()) throw wrong(at, std::string("must be ") + what, text);
  check_number(static_cast<double>(parsed), text, at);
  value = parsed;
}

void assign(const Node& node, int64_t& value, const Context& at) { assign_integer(node, value, "an integer", at); }
void assign(const Node& node, uint64_t& value, const Context& at) { assign_integer(node, value, "an integer of at least 0", at); }

void assign(const Node& node, double& value, const Context& at) {
  const std::string& text = scalar_text(node, "a number", at);
  const std::string_view digits = digits_of(text, at);
  double parsed = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed);
  if (error == std::errc::result_out_of_range) throw wrong(at, "is out of the range of double numbers", text);
  if (error != std::errc() || end != digits.data() + digits.size()) throw wrong(at, "must be a number", text);
  if (!std::isfinite(parsed)) throw wrong(at, "must be finite", text);
  check_number(parsed, text, at);
  value = parsed;
}

void assign(const Node& node, bool& value, const Context& at) {
  const std::string& text = scalar_text(node, "true or false", at);
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const bool yes = lower == "true" || lower == "yes" || lower == "on";
  if (!yes && lower != "false" && lower != "no" && lower != "off") throw wrong(at, "must be true or false", text);
  value = yes;
}

void assign(const Node& node, std::string& value, const Context& at) {
  const std::string& text = scalar_text(node, "a text", at);
  check_word(text, at);
  value = text;
}

void assign(const Node& node, std::filesystem::path& value, const Context& at) {
  const std::string& text = scalar_text(node, "a path", at);
  check_word(text, at);
  value = text;
}

template <class T>
void assign(const Node& node, std::optional<T>& value, const Context& at) {
  if (node.kind == Node::Kind::null) {
    value.reset();
    return;
  }
  T parsed{};
  assign(node, parsed, at);
  value = parsed;
}

template <class T>
void assign(const Node& node, std::vector<T>& value, const Context& at) {
  if (node.kind != Node::Kind::sequence) throw error_at(at.place, at.path, "must be a list like [a, b]");
  std::vector<T> parsed;
  for (size_t i = 0; i < node.items.size(); ++i) {
    const std::string path = at.path + "[" + std::to_string(i) + "]";
    T item{};
    assign(*node.items[i], item, Context{node.items[i]->place, path, at.checks});
    parsed.push_back(std::move(item));
  }
  value = std::move(parsed);
}

void assign(const Node& node, std::map<std::string, double>& value, const Context& at) {
  if (node.kind != Node::Kind::map) throw error_at(at.place, at.path, "must be a mapping like {name: 1.0}");
  std::map<std::string, double> parsed;
  for (const Entry& entry : node.entries) {
    const std::string path = join_path(at.path, shown(entry.key));
    const Place& place = entry.value->kind == Node::Kind::null ? entry.place : entry.value->place;
    assign(*entry.value, parsed[entry.key], Context{place, path, at.checks});
  }
  value = std::move(parsed);
}

bool is_word(const std::string& text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  return !text.empty() && std::all_of(text.begin(), text.end(), letter) && text != "nan" && text != "inf" && text != "infinity";
}

void assign(const Node& node, ScalarOrMap& value, const Context& at) {
  ScalarOrMap parsed;
  if (node.kind == Node::Kind::map) {
    assign(node, parsed.map, at);
    if (parsed.map.empty()) throw error_at(at.place, at.path, "the mapping is empty");
  } else if (const std::string& text = scalar_text(node, "a number, a mapping or a word", at); is_word(text)) {
    check_word(text, at);
    parsed.word = text;
  } else {
    assign(node, parsed.scalar.emplace(), at);
  }
  value = std::move(parsed);
}

}  // namespace

void read_value(const Entry& entry, const std::string& path, const Field& field) {
  // An empty value has the place of whatever comes next in the file; its key is what the user should look at.
  const Place& place = entry.value->kind == Node::Kind::null ? entry.place : entry.value->place;
  std::visit([&](auto* value) { assign(*entry.value, *value, Context{place, path, field.checks}); }, *field.value);
}

std::string number_text(double value) {
  char text[32];
  const auto result = std::to_chars(text, text + sizeof text, value);
  return {text, result.ptr};
}

}  // namespace mvrm::config
