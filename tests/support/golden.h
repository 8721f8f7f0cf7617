// SPDX-License-Identifier: Apache-2.0
// Reference data made with Hugging Face code (spec/idefics2.md section 9): tests/golden, or the full set that MVRM_GOLDEN_DIR names.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <string>

namespace mvrm::test {

inline std::filesystem::path golden_dir() {
  const char* full = std::getenv("MVRM_GOLDEN_DIR");
  return full && *full ? std::filesystem::path(full) : std::filesystem::path(MVRM_SOURCE_DIR) / "tests" / "golden";
}
inline std::filesystem::path golden_file(const std::string& name) { return golden_dir() / name; }

}  // namespace mvrm::test

// First line of a test that needs `name`.
#define MVRM_NEEDS_GOLDEN(name)                                        \
  if (!std::filesystem::exists(mvrm::test::golden_file(name)))         \
  GTEST_SKIP() << "no reference data: " << mvrm::test::golden_file(name)
