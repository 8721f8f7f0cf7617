// SPDX-License-Identifier: Apache-2.0
// Mistral-7B-v0.1's SentencePiece file, VideoScore's vocabulary: taken out of the PyPI package mistral-common, never committed.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <mvrm/core/files.h>
#include <string>

namespace mvrm::test {

// The file that MVRM_MISTRAL_TOKENIZER names, else the one that scripts/setup.sh installed in .venv; empty when neither is there or it isn't
// the file that the recorded ids belong to.
inline std::filesystem::path mistral_model() {
  namespace fs = std::filesystem;
  constexpr const char* kHash = "dadfd56d766715c61d2ef780a525ab43b8e6da4de6865bda3d95fdef5e134055";
  const auto is_it = [&](const fs::path& path) { return fs::is_regular_file(path) && core::sha256_file(path) == kHash; };
  if (const char* path = std::getenv("MVRM_MISTRAL_TOKENIZER"); path && *path) return is_it(path) ? fs::path(path) : fs::path();
  std::error_code absent;
  for (const auto& python : fs::directory_iterator(fs::path(MVRM_SOURCE_DIR) / ".venv" / "lib", absent)) {
    const fs::path path = python.path() / "site-packages" / "mistral_common" / "data" / "tokenizer.model.v1";
    if (is_it(path)) return path;
  }
  return {};
}

}  // namespace mvrm::test
