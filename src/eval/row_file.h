// SPDX-License-Identifier: Apache-2.0
// Rows of a JSON array or of JSON Lines, one at a time, so that a million rows never stand in memory as JSON and every complaint names
// its row. Helpers to read fields of a row.
#pragma once
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

namespace mvrm::eval {

using Row = nlohmann::ordered_json;

// Calls `take` for each row, an object, with its place ("file.jsonl:7", "file.json: row 7"). Throws DataError with the place for: not
// JSON, not UTF-8, a byte order mark, lines that end in CR LF, a row above 1 MiB or nested deeper than 32, no row at all.
void for_each_row(const std::filesystem::path& path, const std::function<void(const Row&, const std::string& where)>& take);

[[noreturn]] void fail_row(const std::string& where, const std::string& id, const std::string& why);
// A text field that must be there and not be empty.
const std::string& text_field(const Row& row, const char* key, const std::string& where, const std::string& id = {});
// The first of these keys that the row has, or nullptr.
const Row* find_field(const Row& row, std::initializer_list<const char*> keys);

}  // namespace mvrm::eval
