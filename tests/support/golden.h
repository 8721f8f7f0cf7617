// SPDX-License-Identifier: Apache-2.0
// Where the golden reference data lies: MVRM_GOLDEN_DIR, else tests/golden.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <string>

namespace mvrm::test {

inline std::filesystem::path golden(const std::string& name) {
  const char* directory = std::getenv("MVRM_GOLDEN_DIR");
  return (directory != nullptr ? std::filesystem::path(directory) : std::filesystem::path(MVRM_SOURCE_DIR) / "tests" / "golden") / name;
}

}  // namespace mvrm::test
