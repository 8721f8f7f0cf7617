// SPDX-License-Identifier: Apache-2.0
#include <mvrm/report/table.h>
#include <algorithm>
#include <cmath>
#include <cstdio>

namespace mvrm::report {

namespace {

// Width on a terminal: code points, not bytes, so that an accent or a dash does not shift the columns.
size_t width_of(const std::string& cell) {
  return static_cast<size_t>(
      std::count_if(cell.begin(), cell.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::vector<size_t> column_widths(const Table& table) {
  std::vector<size_t> widths;
  for (const auto& cell : table.header) widths.push_back(width_of(cell));
  for (const auto& row : table.rows) {
    for (size_t c = 0; c < row.size() && c < widths.size(); ++c) widths[c] = std::max(widths[c], width_of(row[c]));
  }
  return widths;
}

std::string pad(const std::string& cell, size_t width, bool left) {
  const std::string spaces(width - std::min(width, width_of(cell)), ' ');
  return left ? cell + spaces : spaces + cell;
}

}  // namespace

std::string to_text(const Table& table) {
  const auto widths = column_widths(table);
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (size_t c = 0; c < cells.size(); ++c) text += (c == 0 ? "" : "  ") + pad(cells[c], widths[c], c == 0);
    while (!text.empty() && text.back() == ' ') text.pop_back();
    return text + "\n";
  };
  std::string text = line(table.header);
  size_t total = widths.empty() ? 0 : 2 * (widths.size() - 1);
  for (const size_t width : widths) total += width;
  text += std::string(total, '-') + "\n";
  for (const auto& row : table.rows) text += line(row);
  return text;
}

std::string to_markdown(const Table& table) {
  const auto line = [](const std::vector<std::string>& cells) {
    std::string text = "|";
    for (const auto& cell : cells) {
      text += ' ';
      for (const char c : cell) text += c == '|' ? std::string("\\|") : std::string(1, c);
      text += " |";
    }
    return text + "\n";
  };
  std::string text = line(table.header) + "|";
  for (size_t c = 0; c < table.header.size(); ++c) text += c == 0 ? "---|" : "---:|";
  text += "\n";
  for (const auto& row : table.rows) text += line(row);
  return text;
}

std::string fixed(double value, int digits) {
  if (std::isnan(value)) return "n/a";
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return buffer;
}

}  // namespace mvrm::report
