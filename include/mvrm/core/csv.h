// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace mvrm::core {

// A cell of a CSV file, in quotes where commas, quotes or line ends ask for them (RFC 4180).
std::string csv_cell(const std::string& text);

}  // namespace mvrm::core
