// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/eval/predictions.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

namespace mvrm::eval {

namespace {

using Json = nlohmann::ordered_json;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Row {
  std::string id;
  std::map<std::string, float> label, reward;
};

struct Rows {
  std::vector<Row> rows;
  std::vector<std::string> dimensions;  // in the order in which they are first seen
};

[[noreturn]] void fail(const std::string& where, const std::string& id, const std::string& why) {
  throw core::DataError(where + ": " + (id.empty() ? "" : "sample '" + id + "': ") + why, id);
}

void read_values(const Json& object, const std::string& key, const std::string& where, const std::string& id,
                 std::map<std::string, float>& into, std::vector<std::string>& dimensions) {
  if (!object.contains(key)) return;
  if (!object[key].is_object()) fail(where, id, "'" + key + "' must be an object of dimension names and numbers");
  for (const auto& [name, value] : object[key].items()) {
    if (!value.is_number() && !value.is_null()) fail(where, id, "'" + key + "." + name + "' is not a number");
    into[name] = value.is_null() ? kNan : value.get<float>();
    if (std::find(dimensions.begin(), dimensions.end(), name) == dimensions.end()) dimensions.push_back(name);
  }
}

// VideoScore's result rows keep Python lists in strings: "[1.898, 1.5, 2.953, 2.438, 1.648]". -1 in `ref` marks "no label".
void read_list(const Json& object, const std::string& key, const std::string& where, const std::string& id,
               std::map<std::string, float>& into) {
  static const std::vector<std::string> names = data::videofeedback_dimensions();
  const Json list = object.contains(key) && object[key].is_string() ? Json::parse(object[key].get<std::string>(), nullptr, false) : Json();
  if (!list.is_array() || list.size() != names.size()) fail(where, id, "'" + key + "' must be a string holding a list of 5 numbers");
  for (size_t k = 0; k < names.size(); ++k) {
    if (!list[k].is_number()) fail(where, id, "'" + key + "' holds something that is not a number");
    const float value = list[k].get<float>();
    into[names[k]] = key == "ref" && value == -1.0F ? kNan : value;
  }
}

void read_row(const Json& object, const std::string& where, Rows& into) {
  if (!object.is_object() || !object.contains("id") || !object["id"].is_string()) fail(where, "", "a row needs a text 'id'");
  Row row{.id = object["id"].get<std::string>(), .label = {}, .reward = {}};
  if (object.contains("ans")) {
    read_list(object, "ref", where, row.id, row.label);
    read_list(object, "ans", where, row.id, row.reward);
    into.dimensions = data::videofeedback_dimensions();
  } else {
    if (!object.contains("scores")) fail(where, row.id, "neither 'scores' nor 'ans'");
    read_values(object, "scores", where, row.id, row.reward, into.dimensions);
    read_values(object, "labels", where, row.id, row.label, into.dimensions);
  }
  into.rows.push_back(std::move(row));
}

Rows read_rows(const std::filesystem::path& path) {
  const std::string text = core::read_file(path);
  Rows rows;
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && text[first] == '[') {
    const Json document = Json::parse(text, nullptr, false);
    if (document.is_discarded()) fail(path.string(), "", "is not valid JSON");
    int64_t number = 0;
    for (const auto& object : document) read_row(object, path.string() + ": row " + std::to_string(++number), rows);
    return rows;
  }
  std::istringstream lines(text);
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = path.string() + ":" + std::to_string(number);
    const Json object = Json::parse(line, nullptr, false);
    if (object.is_discarded()) fail(where, "", "is not valid JSON");
    read_row(object, where, rows);
  }
  return rows;
}

}  // namespace

void write_predictions(const std::filesystem::path& path, const Predictions& predictions) {
  const at::Tensor reward_NK = predictions.reward_NK.to(at::kFloat).contiguous(),
                   label_NK = predictions.label_NK.to(at::kFloat).contiguous();
  const size_t dimensions = predictions.dimensions.size();
  std::string text;
  for (size_t n = 0; n < predictions.ids.size(); ++n) {
    Json labels = Json::object(), scores = Json::object();
    for (size_t k = 0; k < dimensions; ++k) {
      const float label = label_NK.const_data_ptr<float>()[n * dimensions + k],
                  reward = reward_NK.const_data_ptr<float>()[n * dimensions + k];
      if (std::isfinite(label)) labels[predictions.dimensions[k]] = label;
      scores[predictions.dimensions[k]] = std::isfinite(reward) ? Json(reward) : Json();
    }
    text += Json{{"id", predictions.ids[n]}, {"labels", labels}, {"scores", scores}}.dump() + "\n";
  }
  core::write_file_atomic(path, text);
}

Predictions read_predictions(const std::filesystem::path& path) {
  Rows rows = read_rows(path);
  if (rows.rows.empty()) fail(path.string(), "", "holds no predictions");
  const auto count = static_cast<int64_t>(rows.rows.size()), dimensions = static_cast<int64_t>(rows.dimensions.size());
  Predictions predictions{.ids = {},
                          .dimensions = rows.dimensions,
                          .reward_NK = at::full({count, dimensions}, kNan, at::kFloat),
                          .label_NK = at::full({count, dimensions}, kNan, at::kFloat)};
  for (int64_t n = 0; n < count; ++n) {
    const Row& row = rows.rows[static_cast<size_t>(n)];
    predictions.ids.push_back(row.id);
    for (int64_t k = 0; k < dimensions; ++k) {
      const auto& name = rows.dimensions[static_cast<size_t>(k)];
      if (const auto found = row.reward.find(name); found != row.reward.end()) {
        predictions.reward_NK.mutable_data_ptr<float>()[n * dimensions + k] = found->second;
      }
      if (const auto found = row.label.find(name); found != row.label.end()) {
        predictions.label_NK.mutable_data_ptr<float>()[n * dimensions + k] = found->second;
      }
    }
  }
  return predictions;
}

}  // namespace mvrm::eval
