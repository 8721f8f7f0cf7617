// SPDX-License-Identifier: Apache-2.0
#include <mvrm/core/csv.h>

namespace mvrm::core {

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace mvrm::core
