// SPDX-License-Identifier: Apache-2.0
// A data file cut into rows with their line numbers, checked as text before anything is believed.
#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mvrm::data {

using Json = nlohmann::ordered_json;  // key order matters: it is the order of the dimensions

struct Row {
  Json object;
  int64_t line = 0;
};

// `.json`: one array; `.jsonl` (or .ndjson): a row a line. Throws DataError "file:line: cause" for invalid UTF-8, NUL, a row over 16 MiB,
// nesting over 64 levels, broken JSON (NaN and Infinity are not JSON), duplicate keys in a row, a row that is not an object.
std::vector<Row> read_rows(const std::filesystem::path& path, std::string_view text);

// At most `limit` bytes of `text` for a message: printable ASCII stays, everything else becomes '?'.
std::string excerpt(std::string_view text, size_t limit);

}  // namespace mvrm::data
