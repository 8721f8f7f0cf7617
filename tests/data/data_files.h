// SPDX-License-Identifier: Apache-2.0
// Data files written out by hand, and the messages they get.
#pragma once
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/data/manifest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace mvrm::test {

inline std::filesystem::path put(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

// What the DataError of `action` says; "" when there is none.
template <class Action>
std::string message_of(const Action& action) {
  try {
    action();
  } catch (const core::DataError& error) {
    EXPECT_EQ(error.status(), core::ExitStatus::data);
    return error.what();
  }
  return "";
}

inline std::vector<data::Problem> problems_of(const std::filesystem::path& path, data::ManifestOptions options = {}) {
  std::vector<data::Problem> problems;
  options.on_problem = [&](const data::Problem& problem) { problems.push_back(problem); };
  data::load_manifest(path, options);
  return problems;
}

}  // namespace mvrm::test
