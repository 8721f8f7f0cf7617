// SPDX-License-Identifier: Apache-2.0
#include "leftovers.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace mvrm::run {

void remove_leftovers(const std::filesystem::path& folder) {
  constexpr std::string_view kMark = ".tmp-";
  std::error_code ignored;
  for (std::filesystem::directory_iterator entry(folder, ignored), end; entry != end; entry.increment(ignored)) {
    const std::string name = entry->path().filename().string();
    const size_t mark = name.rfind(kMark);
    if (mark == std::string::npos || !entry->is_regular_file(ignored)) continue;
    pid_t writer = 0;
    const char* last = name.data() + name.size();
    if (std::from_chars(name.data() + mark + kMark.size(), last, writer).ptr != last || writer <= 0) continue;
    if (::kill(writer, 0) != 0 && errno == ESRCH) std::filesystem::remove(entry->path(), ignored);
  }
}

}  // namespace mvrm::run
