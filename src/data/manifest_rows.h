// SPDX-License-Identifier: Apache-2.0
// A data file cut into rows with their line numbers, checked as text before anything is believed.
#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "row_error.h"

namespace mvrm::data {

using Json = nlohmann::ordered_json;  // key order matters: it is the order of the dimensions

struct Row {
  Json object;
  int64_t line = 0;
};
struct RowFile {
  std::vector<Row> rows;
  std::string hash;  // SHA-256 of the file
};

// By extension: `.json` one array; `.jsonl` (or .ndjson) a row a line; `.parquet`. Throws DataError when there is no such file, when it
// is no such thing as a whole, or holds no rows. A bad row goes to `on_problem` and is left out, or is thrown when there is none.
RowFile read_row_file(const std::filesystem::path& path, const OnProblem& on_problem = {});

// Rows of JSON text. Bad: invalid UTF-8, NUL, a row over 16 MiB, nesting over 64 levels, broken JSON (NaN and Infinity are not JSON),
// duplicate keys in a row, a row that is not an object.
std::vector<Row> read_json_rows(const std::filesystem::path& path, std::string_view text, const OnProblem& on_problem);

// At most `limit` bytes of `text` for a message: printable ASCII stays, everything else becomes '?'.
std::string excerpt(std::string_view text, size_t limit);

}  // namespace mvrm::data
