// SPDX-License-Identifier: Apache-2.0
#include <mvrm/core/error.h>

namespace mvrm::core::detail {

void check_failed(std::string_view condition, const std::string& what, const char* file, int line) {
  std::string_view place = file;
  if (const size_t slash = place.rfind('/'); slash != std::string_view::npos) place.remove_prefix(slash + 1);
  throw Error(join(what.empty() ? "broken contract" : what, " (", condition, " is false at ", place, ":", line, ")"));
}

}  // namespace mvrm::core::detail
