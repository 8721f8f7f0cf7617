// SPDX-License-Identifier: Apache-2.0
// A DataError that knows its row: "file:line: sample 'id': cause".
#pragma once
#include <mvrm/core/error.h>
#include <mvrm/data/manifest.h>
#include <filesystem>
#include <string>

namespace mvrm::data {

inline std::string words_of(const std::filesystem::path& path, const Problem& problem) {
  return path.string() + ":" + std::to_string(problem.line) + ": " + (problem.id.empty() ? "" : "sample '" + problem.id + "': ") +
         problem.cause;
}

class RowError : public core::DataError {
 public:
  RowError(const std::filesystem::path& path, const Problem& problem) : DataError(words_of(path, problem), problem.id), problem_(problem) {}
  const Problem& problem() const { return problem_; }

 private:
  Problem problem_;
};

using OnProblem = std::function<void(const Problem&)>;

// Runs `step`; a RowError goes to `on_problem` where there is one. Whether the step went well.
template <class Step>
bool attempt(const OnProblem& on_problem, const Step& step) {
  if (!on_problem) {
    step();
    return true;
  }
  try {
    step();
    return true;
  } catch (const RowError& error) {
    on_problem(error.problem());
    return false;
  }
}

}  // namespace mvrm::data
