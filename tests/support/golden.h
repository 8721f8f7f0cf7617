// SPDX-License-Identifier: Apache-2.0
// Reference data made with Hugging Face code by scripts/make_golden.py: tests/golden, or the set that MVRM_GOLDEN_DIR names.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace mvrm::test {

// The committed set, whatever MVRM_GOLDEN_DIR says: for tests whose own numbers depend on its sizes.
inline std::filesystem::path committed_golden_file(const std::string& name) {
  return std::filesystem::path(MVRM_SOURCE_DIR) / "tests" / "golden" / name;
}
inline std::filesystem::path golden_file(const std::string& name) {
  const char* other = std::getenv("MVRM_GOLDEN_DIR");
  return other && *other ? std::filesystem::path(other) / name : committed_golden_file(name);
}
inline nlohmann::json golden_json(const std::string& name) {
  std::ifstream file(golden_file(name));
  return nlohmann::json::parse(file);
}

}  // namespace mvrm::test

// First line of a test that needs `name`.
#define MVRM_NEEDS_GOLDEN(name)                                        \
  if (!std::filesystem::exists(mvrm::test::golden_file(name)))         \
  GTEST_SKIP() << "no reference data: " << mvrm::test::golden_file(name)
