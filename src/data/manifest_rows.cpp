// SPDX-License-Identifier: Apache-2.0
#include "manifest_rows.h"

#include <mvrm/core/error.h>
#include <set>

namespace mvrm::data {

namespace {

constexpr size_t kMaxLineBytes = size_t{16} << 20;
constexpr int kMaxDepth = 64;

[[noreturn]] void fail(const std::filesystem::path& path, int64_t line, const std::string& why) {
  throw core::DataError(path.string() + ":" + std::to_string(line) + ": " + why);
}

// Nesting by counting brackets outside strings: the parser itself recurses, so depth is bounded before it runs.
bool nests_too_deep(const std::string& text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      else if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

// Parses one JSON text; a duplicate key is an error because the loser would vanish silently.
Json parse(const std::filesystem::path& path, int64_t line, const std::string& text) {
  if (text.find('\0') != std::string::npos) fail(path, line, "holds a NUL byte");
  if (nests_too_deep(text)) fail(path, line, "is nested more than " + std::to_string(kMaxDepth) + " levels deep");
  std::vector<std::set<std::string>> keys;
  std::string duplicate;
  const auto watch = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) duplicate = value.get<std::string>();
    return true;
  };
  try {
    Json object = Json::parse(text, watch);
    if (!duplicate.empty()) fail(path, line, "key '" + duplicate + "' is there twice");
    return object;
  } catch (const Json::exception& error) {
    std::string why = error.what();
    if (const auto at = why.find("parse error"); at != std::string::npos) why = why.substr(at);
    fail(path, line, "is not valid JSON: " + why.substr(0, 160));
  }
}

std::vector<Row> read_lines(const std::filesystem::path& path, const std::string& text) {
  std::vector<Row> rows;
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    ++number;
    if (end - begin > kMaxLineBytes) fail(path, number, "is longer than " + std::to_string(kMaxLineBytes) + " bytes");
    std::string line = text.substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.find_first_not_of(" \t") != std::string::npos) rows.push_back({parse(path, number, line), number});
    begin = end + 1;
  }
  return rows;
}

// Line on which each element of the top-level array starts.
std::vector<int64_t> element_lines(const std::string& text) {
  std::vector<int64_t> lines;
  int depth = 0;
  int64_t line = 1;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') ++line;
    if (in_string) {
      if (c == '\\') ++i;
      else if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') {
      if (depth == 1) lines.push_back(line);
      ++depth;
    }
    if (c == '}' || c == ']') --depth;
  }
  return lines;
}

}  // namespace

std::vector<Row> read_rows(const std::filesystem::path& path, const std::string& text_with_mark) {
  const std::string text = text_with_mark.rfind("\xEF\xBB\xBF", 0) == 0 ? text_with_mark.substr(3) : text_with_mark;
  const std::string extension = path.extension().string();
  std::vector<Row> rows;
  if (extension == ".jsonl" || extension == ".ndjson") {
    rows = read_lines(path, text);
  } else if (extension == ".json") {
    Json document = parse(path, 1, text);
    if (!document.is_array()) fail(path, 1, "must be a JSON array of rows (or be named .jsonl)");
    const auto lines = element_lines(text);
    for (size_t i = 0; i < document.size(); ++i) rows.push_back({std::move(document[i]), i < lines.size() ? lines[i] : 1});
  } else {
    fail(path, 1, "has an unknown extension '" + extension + "'; known: .json, .jsonl");
  }
  for (const auto& row : rows) {
    if (!row.object.is_object()) fail(path, row.line, "a row must be a JSON object");
  }
  if (rows.empty()) fail(path, 1, "holds no rows");
  return rows;
}

}  // namespace mvrm::data
