// SPDX-License-Identifier: Apache-2.0
#include <limits>
#include <mvrm/core/disk.h>
#include <sys/statvfs.h>

namespace mvrm::core {

uint64_t free_bytes(const std::filesystem::path& folder) {
  struct statvfs status {};
  if (::statvfs(folder.c_str(), &status) != 0 || status.f_blocks == 0) return std::numeric_limits<uint64_t>::max();
  return static_cast<uint64_t>(status.f_bavail) * static_cast<uint64_t>(status.f_frsize);
}

}  // namespace mvrm::core
