// SPDX-License-Identifier: Apache-2.0
#include "row_file.h"

#include <mvrm/core/error.h>
#include <mvrm/core/files.h>

#include <string_view>

namespace mvrm::eval {

namespace {

constexpr size_t kMaxRowBytes = size_t{1} << 20;
constexpr int kMaxDepth = 32;
constexpr std::string_view kBlank = " \t\r\n";

using Take = std::function<void(const Row&, const std::string& where)>;

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kBlank);
  return first == std::string_view::npos ? std::string_view{} : text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// Where a JSON text of balanced brackets stops being at depth 0: brackets and strings only, what stands between is left to the parser.
class Scanner {
 public:
  void step(char c) {
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '[' || c == '{') {
      deepest_ = std::max(deepest_, ++depth_);
    } else if (c == ']' || c == '}') {
      --depth_;
    }
  }
  bool in_string() const { return in_string_; }
  int depth() const { return depth_; }
  int take_deepest() { return std::exchange(deepest_, 0); }

 private:
  bool in_string_ = false, escaped_ = false;
  int depth_ = 0, deepest_ = 0;
};

std::string cause_of(const nlohmann::json::exception& error, std::string_view text) {
  const std::string_view what = error.what();
  if (what.find("UTF-8") != std::string_view::npos) return "holds bytes that are not UTF-8";
  if (text.find("NaN") != std::string_view::npos || text.find("Infinity") != std::string_view::npos) {
    return "is not valid JSON: NaN and Infinity are no JSON numbers; write null";
  }
  const auto* place = dynamic_cast<const nlohmann::json::parse_error*>(&error);
  return place ? "is not valid JSON (column " + std::to_string(place->byte) + ")" : "holds a number that is out of range";
}

void take_row(std::string_view text, int depth, const std::string& where, const Take& take) {
  if (text.size() > kMaxRowBytes) {
    fail_row(where, "", "a row of " + std::to_string(text.size()) + " bytes; the limit is " + std::to_string(kMaxRowBytes));
  }
  if (depth > kMaxDepth) fail_row(where, "", "nested " + std::to_string(depth) + " deep; the limit is " + std::to_string(kMaxDepth));
  Row row;
  try {
    row = Row::parse(text);
  } catch (const nlohmann::json::exception& error) {
    fail_row(where, "", cause_of(error, text));
  }
  if (!row.is_object()) fail_row(where, "", "a row must be a JSON object");
  take(row, where);
}

int64_t take_array(const std::string& path, std::string_view text, const Take& take) {
  Scanner scanner;
  int64_t rows = 0;
  size_t begin = 1, i = 0;
  bool closed = false;
  const auto finish = [&](size_t end) {
    const std::string where = path + ": row " + std::to_string(++rows);
    const std::string_view one = trimmed(text.substr(begin, end - begin));
    if (one.empty()) fail_row(where, "", "is not valid JSON: nothing between two commas");
    take_row(one, scanner.take_deepest() - 1, where, take);
    begin = end + 1;
  };
  for (; i < text.size() && !closed; ++i) {
    const int before = scanner.depth();
    if (before == 1 && !scanner.in_string() && text[i] == ',') finish(i);
    scanner.step(text[i]);
    closed = scanner.depth() == 0;
    if (closed && (rows > 0 || !trimmed(text.substr(begin, i - begin)).empty())) finish(i);
  }
  if (!closed) fail_row(path + ": row " + std::to_string(rows + 1), "", "is not valid JSON: the file ends inside the array");
  if (!trimmed(text.substr(i)).empty()) fail_row(path, "", "is not valid JSON: text behind the end of the array");
  return rows;
}

int64_t take_lines(const std::string& path, std::string_view text, const Take& take) {
  int64_t rows = 0, number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    const std::string where = path + ":" + std::to_string(++number);
    if (!line.empty() && line.back() == '\r') fail_row(where, "", "the line ends in CR LF; write LF alone (e.g. with dos2unix)");
    if (trimmed(line).empty()) continue;
    Scanner scanner;
    if (line.size() <= kMaxRowBytes) {
      for (const char c : line) scanner.step(c);
    }
    ++rows;
    take_row(trimmed(line), scanner.take_deepest(), where, take);
  }
  return rows;
}

// Where the bracket that opens the text is closed; npos where it is not.
size_t end_of_value(std::string_view text) {
  Scanner scanner;
  for (size_t i = 0; i < text.size(); ++i) {
    scanner.step(text[i]);
    if (scanner.depth() == 0) return i + 1;
  }
  return std::string_view::npos;
}

// `mvrm score --json`: one document over many lines, whose rows are the array "results".
bool is_document(std::string_view text) {
  const size_t end = end_of_value(text);
  return text.starts_with('{') && end != std::string_view::npos && text.find('\n') < end && trimmed(text.substr(end)).empty();
}

int64_t take_document(const std::string& path, std::string_view text, const Take& take) {
  constexpr std::string_view kResults = "\"results\"";
  size_t begin = text.find(kResults);
  if (begin != std::string_view::npos) begin = text.find_first_not_of(": \t\r\n", begin + kResults.size());
  if (begin == std::string_view::npos || text[begin] != '[') {
    fail_row(path, "", "is one JSON object over several lines; rows are one object a line, an array of them, or the \"results\" of 'mvrm score --json'");
  }
  const size_t length = end_of_value(text.substr(begin));
  return take_array(path, text.substr(begin, length), take);
}

}  // namespace

void fail_row(const std::string& where, const std::string& id, const std::string& why) {
  throw core::DataError(where + ": " + (id.empty() ? "" : "sample '" + id + "': ") + why, id);
}

void for_each_row(const std::filesystem::path& path, const Take& take) {
  const std::string content = core::read_file(path);
  const std::string name = path.string();
  if (content.starts_with("\xEF\xBB\xBF")) fail_row(name + ":1", "", "starts with a byte order mark; save it as UTF-8 without one");
  const auto first = content.find_first_not_of(kBlank);
  const bool array = first != std::string::npos && content[first] == '[';
  const std::string_view text = first == std::string::npos ? std::string_view{} : std::string_view(content).substr(array ? first : 0);
  const int64_t rows = array ? take_array(name, text, take) : is_document(text) ? take_document(name, text, take) : take_lines(name, text, take);
  if (rows == 0) fail_row(name, "", "holds no rows");
}

const std::string& text_field(const Row& row, const char* key, const std::string& where, const std::string& id) {
  const auto found = row.find(key);
  if (found == row.end() || !found->is_string() || found->get_ref<const std::string&>().empty()) {
    fail_row(where, id, "a row needs a text '" + std::string(key) + "'");
  }
  return found->get_ref<const std::string&>();
}

const Row* find_field(const Row& row, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (const auto found = row.find(key); found != row.end()) return &*found;
  }
  return nullptr;
}

}  // namespace mvrm::eval
