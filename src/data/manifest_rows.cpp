// SPDX-License-Identifier: Apache-2.0
// Every row is found by one scan of the text and parsed on its own, so a message knows its line and memory holds one document a row.
#include "manifest_rows.h"

#include <mvrm/core/files.h>

#include <algorithm>
#include <set>

#include "parquet_rows.h"

namespace mvrm::data {

namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxRowBytes = size_t{16} << 20;
constexpr int kMaxDepth = 64;
constexpr std::string_view kBlank = " \t\r\n";

struct RowText {
  std::string_view text;
  int64_t line = 0;
};

[[noreturn]] void fail(const fs::path& path, int64_t line, const std::string& why) {
  throw RowError(path, {.line = line, .id = {}, .cause = why});
}

// Follows strings and brackets through a text, byte by byte; what is inside a string opens and closes nothing.
class Nesting {
 public:
  void feed(char c) {
    if (escaped_) {
      escaped_ = false;
    } else if (in_string_) {
      escaped_ = c == '\\';
      in_string_ = c != '"';
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '[' || c == '{') {
      ++depth_;
    } else if (c == ']' || c == '}') {
      --depth_;
    }
  }
  int depth() const { return depth_; }
  bool in_string() const { return in_string_; }

 private:
  int depth_ = 0;
  bool in_string_ = false, escaped_ = false;
};

// The parser recurses, so depth is bounded before it runs.
void check_text(const fs::path& path, const RowText& row) {
  if (row.text.size() > kMaxRowBytes) fail(path, row.line, "the row is longer than " + std::to_string(kMaxRowBytes) + " bytes");
  if (row.text.find('\0') != std::string_view::npos) fail(path, row.line, "holds a NUL byte");
  Nesting nesting;
  for (const char c : row.text) {
    nesting.feed(c);
    if (nesting.depth() > kMaxDepth) fail(path, row.line, "is nested more than " + std::to_string(kMaxDepth) + " levels deep");
  }
}

// Without the parser's own position, which counts from the start of the row.
std::string cause_of(const Json::exception& error) {
  const std::string_view why = error.what();
  for (const std::string_view mark : {std::string_view("column "), std::string_view("] ")}) {
    if (const auto at = why.find(mark); at != std::string_view::npos) return excerpt(why.substr(mark == "] " ? at + 2 : at), 200);
  }
  return excerpt(why, 200);
}

// A duplicate key is an error because the loser would vanish silently.
Row parse(const fs::path& path, const RowText& row) {
  check_text(path, row);
  std::vector<std::set<std::string>> keys;
  std::string duplicate;
  const auto watch = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) duplicate = value.get<std::string>();
    return true;
  };
  Row result{.object = {}, .line = row.line};
  try {
    result.object = Json::parse(row.text, watch);
  } catch (const Json::parse_error& error) {
    const std::string_view before = row.text.substr(0, std::min(error.byte, row.text.size()));
    fail(path, row.line + std::count(before.begin(), before.end(), '\n'), "is not valid JSON: " + cause_of(error));
  } catch (const Json::exception& error) {
    fail(path, row.line, "is not valid JSON: " + cause_of(error));
  }
  if (!duplicate.empty()) fail(path, row.line, "key '" + excerpt(duplicate, 80) + "' is there twice");
  if (!result.object.is_object()) fail(path, row.line, "a row must be a JSON object");
  return result;
}

std::vector<Row> read_lines(const fs::path& path, std::string_view text, const OnProblem& on_problem) {
  std::vector<Row> rows;
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    ++number;
    if (line.find_first_not_of(kBlank) != std::string_view::npos) {
      attempt(on_problem, [&] { rows.push_back(parse(path, {line, number})); });
    }
    begin = end + 1;
  }
  return rows;
}

// Cuts the text of one array at the commas of its first level and parses each element.
class ArrayReader {
 public:
  ArrayReader(const fs::path& path, std::string_view text, const OnProblem& on_problem)
      : path_(path), text_(text), on_problem_(on_problem) {}

  std::vector<Row> read() {
    skip_blank();
    if (at_ == text_.size() || text_[at_] != '[') fail(path_, line_, "must be a JSON array of rows (or be named .jsonl)");
    ++at_;
    skip_blank();
    if (at_ < text_.size() && text_[at_] == ']') {
      ++at_;
    } else {
      while (element()) {
      }
    }
    skip_blank();
    if (at_ != text_.size()) fail(path_, line_, "is not valid JSON: something follows the end of the array");
    return std::move(rows_);
  }

 private:
  void skip_blank() {
    for (; at_ < text_.size() && kBlank.find(text_[at_]) != std::string_view::npos; ++at_) line_ += text_[at_] == '\n' ? 1 : 0;
  }

  // One element and the comma or bracket behind it; false at the end of the array.
  bool element() {
    skip_blank();
    const size_t begin = at_;
    const int64_t line = line_;
    Nesting nesting;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (nesting.depth() == 0 && !nesting.in_string() && (c == ',' || c == ']')) break;
      nesting.feed(c);
      line_ += c == '\n' ? 1 : 0;
    }
    if (at_ == text_.size()) {
      parse(path_, {text_.substr(begin), line});
      fail(path_, line_, "is not valid JSON: the array does not end");
    }
    attempt(on_problem_, [&] { rows_.push_back(parse(path_, {text_.substr(begin, at_ - begin), line})); });
    return text_[at_++] == ',';
  }

  const fs::path& path_;
  std::string_view text_;
  const OnProblem& on_problem_;
  size_t at_ = 0;
  int64_t line_ = 1;
  std::vector<Row> rows_;
};

}  // namespace

std::string excerpt(std::string_view text, size_t limit) {
  std::string result(text.substr(0, limit));
  for (char& c : result) {
    if (c < ' ' || c > '~') c = '?';
  }
  return result;
}

std::vector<Row> read_json_rows(const fs::path& path, std::string_view text, const OnProblem& on_problem) {
  if (text.substr(0, 2) == "\xFF\xFE" || text.substr(0, 2) == "\xFE\xFF") fail(path, 1, "is UTF-16; save it as UTF-8");
  // VideoScore's Python scripts stumble over both; what one tool takes and the next refuses is better found here.
  if (text.substr(0, 3) == "\xEF\xBB\xBF") fail(path, 1, "starts with a byte order mark; save it as UTF-8 without one");
  if (const size_t end = text.find("\r\n"); end != std::string_view::npos) {
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), '\n');
    fail(path, line, "the line ends in CR LF; convert the file to LF, e.g. with dos2unix");
  }
  return path.extension() == ".json" ? ArrayReader(path, text, on_problem).read() : read_lines(path, text, on_problem);
}

RowFile read_row_file(const fs::path& path, const OnProblem& on_problem) {
  if (!fs::is_regular_file(path)) throw core::DataError(path.string() + (fs::is_directory(path) ? ": is a folder; give the data file in it" : ": data file not found"));
  const std::string extension = path.extension().string();
  RowFile file;
  bool any_problem = false;
  const OnProblem watch = [&](const Problem& problem) {
    any_problem = true;
    on_problem(problem);
  };
  if (extension == ".parquet") {
    file = {.rows = read_parquet_rows(path, on_problem ? watch : OnProblem()), .hash = core::sha256_file(path)};
  } else if (extension == ".json" || extension == ".jsonl" || extension == ".ndjson") {
    const std::string text = core::read_file(path);
    file = {.rows = read_json_rows(path, text, on_problem ? watch : OnProblem()), .hash = core::sha256_hex(text)};
  } else {
    fail(path, 1, "has an unknown extension '" + extension + "'; known: .json, .jsonl, .parquet");
  }
  if (file.rows.empty() && !any_problem) fail(path, 1, "holds no rows");
  return file;
}

}  // namespace mvrm::data
