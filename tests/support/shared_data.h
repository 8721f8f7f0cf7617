// SPDX-License-Identifier: Apache-2.0
// Published files that are too large or not ours to commit: MVRM_SHARED_DATA, else ../shared/data beside the sources. May not exist.
#pragma once
#include <cstdlib>
#include <filesystem>

namespace mvrm::test {

inline std::filesystem::path shared_data() {
  const char* folder = std::getenv("MVRM_SHARED_DATA");
  return folder && *folder ? std::filesystem::path(folder) : std::filesystem::path(MVRM_SOURCE_DIR).parent_path() / "shared" / "data";
}

}  // namespace mvrm::test
