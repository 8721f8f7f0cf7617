// SPDX-License-Identifier: Apache-2.0
// Data files rewritten from any layout that is read into another one, without loss of what the other can hold.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace mvrm::data {

// What is written, by name: mvrm (rows of docs/files.md), videofeedback (VideoFeedback's columns), videoscore-train (VideoScore's
// training file), jsonl and json (the rows as they are).
std::vector<std::string> layout_names();

struct ConvertReport {
  int64_t rows_read = 0, rows_written = 0;
  std::map<std::string, int64_t> losses;  // what the layout can't hold, and in how many rows
};

// Rows of all inputs in order, media paths rewritten relative to the folder of `out`, or absolute where they lie outside it. `out`: .json
// (an array) or .jsonl. Throws ConfigError for an unknown layout or extension, DataError for a bad row, an id that two inputs share, or
// when nothing could be held; writes nothing then.
ConvertReport convert_data(const std::vector<std::filesystem::path>& inputs, const std::string& layout, const std::filesystem::path& out);

}  // namespace mvrm::data
