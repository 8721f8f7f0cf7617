// SPDX-License-Identifier: Apache-2.0
#include "row_labels.h"

#include <mvrm/data/manifest.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace mvrm::data {

namespace {

std::optional<RowLabels> from_columns(const Json& row) {
  RowLabels labels{.values = Json::object()};
  bool any = false;
  for (const auto& name : videofeedback_dimensions()) {
    if (!row.contains(name)) continue;
    labels.values[name] = row[name];
    any = any || !row[name].is_null();
  }
  if (!any) return std::nullopt;  // empty columns beside a score_list or an answer
  return labels;
}

std::optional<RowLabels> from_score_list(const Json& list) {
  const auto names = videofeedback_dimensions();
  if (!list.is_array() || list.size() != names.size()) {
    throw std::invalid_argument("'score_list' must hold " + std::to_string(names.size()) + " numbers");
  }
  RowLabels labels{.values = Json::object(), .any_scale = true};
  for (size_t k = 0; k < names.size(); ++k) labels.values[names[k]] = list[k] == -1 ? Json() : list[k];
  return labels;
}

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(" \t\r");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// Lines that don't begin with the name of a dimension are talk, not labels.
std::optional<RowLabels> from_answer(const std::string& answer) {
  RowLabels labels{.values = Json::object()};
  const auto names = videofeedback_dimensions();
  for (size_t begin = 0; begin < answer.size();) {
    const size_t end = std::min(answer.find('\n', begin), answer.size());
    const std::string line = answer.substr(begin, end - begin);
    begin = end + 1;
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string name = trimmed(line.substr(0, colon)), number = trimmed(line.substr(colon + 1));
    if (std::find(names.begin(), names.end(), name) == names.end()) continue;
    double value = 0;
    const auto [stop, code] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (code != std::errc() || stop != number.data() + number.size() || labels.values.contains(name)) {
      throw std::invalid_argument("the answer has no single number for '" + name + "': " + excerpt(line, 80));
    }
    labels.values[name] = value;
  }
  if (labels.values.empty()) return std::nullopt;
  return labels;
}

bool has(const Json& row, const char* key) { return row.contains(key) && !row[key].is_null(); }

}  // namespace

std::optional<RowLabels> labels_of(const Json& row) {
  if (row.contains("labels")) {
    if (row["labels"].is_null()) return std::nullopt;
    if (!row["labels"].is_object()) throw std::invalid_argument("'labels' must be an object of dimension names and numbers");
    return RowLabels{.values = row["labels"], .names_are_free = true};
  }
  if (auto labels = from_columns(row)) return labels;
  if (has(row, "score_list")) return from_score_list(row["score_list"]);
  if (!has(row, "conversations") || !row["conversations"].is_array() || row["conversations"].size() < 2) return std::nullopt;
  const Json& answer = row["conversations"][1];
  if (!answer.is_object() || !has(answer, "value") || !answer["value"].is_string()) return std::nullopt;
  return from_answer(answer["value"].get<std::string>());
}

}  // namespace mvrm::data
