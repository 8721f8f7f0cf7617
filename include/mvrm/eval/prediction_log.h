// SPDX-License-Identifier: Apache-2.0
// A predictions file that grows by whole rows, so that a long evaluation goes on where it was stopped: a process that is killed loses at
// most the row it was writing.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace mvrm::eval {

class PredictionLog {
 public:
  // Opens or creates the file for this process alone and reads what is finished; a last line without its end is cut off. Rows without any
  // reward (a sample that could not be read) do not count as finished. Throws DataError with file and row for a broken row, a repeated id,
  // or a row that `made_by` did not make, Error (io) when another process has the file open.
  PredictionLog(const std::filesystem::path& path, const std::string& made_by, const std::vector<std::string>& dimensions);
  ~PredictionLog();
  PredictionLog(const PredictionLog&) = delete;
  PredictionLog& operator=(const PredictionLog&) = delete;

  const std::unordered_map<std::string, std::vector<double>>& finished() const;  // reward_K by id
  void append(const std::string& line);                                          // a whole line with its line feed, in one write

 private:
  struct File;
  std::unique_ptr<File> file_;
};

}  // namespace mvrm::eval
