// SPDX-License-Identifier: Apache-2.0
// Room on a disk, asked before something large is begun. Not a promise: others may write meanwhile.
#pragma once
#include <cstdint>
#include <filesystem>

namespace mvrm::core {

// Bytes that a write below `folder`, which exists, could use; the largest number where the file system doesn't say.
uint64_t free_bytes(const std::filesystem::path& folder);

}  // namespace mvrm::core
