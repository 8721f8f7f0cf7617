// SPDX-License-Identifier: Apache-2.0
#include "python_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace mvrm::eval {

namespace {

template <class Write>
std::string list_of(std::span<const double> values, const Write& write) {
  std::string text = "[";
  for (const double value : values) text += (text.size() > 1 ? ", " : "") + write(value);
  return text + "]";
}

}  // namespace

// The C library rounds a decimal conversion exactly, half to even, as Python does.
double round_to_3(double value) {
  if (!std::isfinite(value) || std::abs(value) >= 0x1.0p52) return value;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3f", value);
  return std::strtod(text.data(), nullptr);
}

std::string python_repr(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
  std::array<char, 512> text{};
  // Python leaves positional notation below 1e-4 and from 1e16 on.
  const double size = std::abs(value);
  const bool positional = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, positional ? std::chars_format::fixed : std::chars_format::scientific).ptr;
  std::string result(text.data(), end);
  if (positional && result.find('.') == std::string::npos) result += ".0";
  return result;
}

std::optional<std::vector<double>> parse_list(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  const char *at = text.data(), *end = at + text.size();
  const auto skip = [&] { at = std::find_if_not(at, end, blank); };
  const auto next_is = [&](char c) {
    skip();
    return at != end && *at == c && ++at;
  };
  std::vector<double> values;
  if (!next_is('[')) return std::nullopt;
  bool more = !next_is(']');
  while (more) {
    skip();
    double value = 0;
    const auto [rest, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || !std::isfinite(value)) return std::nullopt;
    at = rest;
    values.push_back(value);
    more = next_is(',');
    if (!more && !next_is(']')) return std::nullopt;
  }
  skip();
  return at == end ? std::optional(std::move(values)) : std::nullopt;
}

std::string list_of_integers_or_reals(std::span<const double> values) {
  const bool whole = std::all_of(values.begin(), values.end(), [](double x) { return x == std::trunc(x) && std::abs(x) < 1e15; });
  return whole ? list_of(values, [](double x) { return std::to_string(static_cast<int64_t>(x)); }) : list_of_reals(values);
}

std::string list_of_reals(std::span<const double> values) { return list_of(values, python_repr); }

}  // namespace mvrm::eval
