// SPDX-License-Identifier: Apache-2.0
// A table of text cells, rendered for a terminal or as Markdown. Numbers are formatted by whoever fills it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace mvrm::report {

struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};
std::string to_text(const Table& table);  // columns aligned, first column left, others right
std::string to_markdown(const Table& table);
std::string fixed(double value, int digits);  // "n/a" for NaN

}  // namespace mvrm::report
