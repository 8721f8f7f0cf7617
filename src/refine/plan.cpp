// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/refine/plan.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <sstream>

namespace mvrm::refine {

using Json = nlohmann::ordered_json;

namespace {

[[noreturn]] void fail(const std::filesystem::path& path, int64_t line, const std::string& why) {
  throw core::DataError(path.string() + ":" + std::to_string(line) + ": " + why);
}

Json parse_line(const std::filesystem::path& path, int64_t number, const std::string& line) {
  Json row = Json::parse(line, nullptr, false);
  if (!row.is_object()) fail(path, number, "is not a JSON object");
  return row;
}

void read_header(const std::filesystem::path& path, int64_t number, const Json& row, RefinementPlan& plan) {
  const bool named = row.contains("strategy") && row["strategy"].is_string() && row.contains("dimensions") && row["dimensions"].is_array();
  if (!named) fail(path, number, "the first line must be the plan's header with 'strategy' and 'dimensions'");
  for (const auto& name : row["dimensions"]) {
    if (!name.is_string()) fail(path, number, "'dimensions' must be a list of names");
    plan.dimensions.push_back(name.get<std::string>());
  }
  plan.header = nlohmann::json::parse(row.dump());
  plan.header.erase("dimensions");
}

std::vector<float> read_weights(const std::filesystem::path& path, int64_t number, const Json& row,
                                const std::vector<std::string>& dimensions) {
  if (!row.contains("weight") || !row["weight"].is_object() || row["weight"].size() != dimensions.size()) {
    fail(path, number, "'weight' must name each of the plan's dimensions once");
  }
  std::vector<float> weights;
  for (const auto& dimension : dimensions) {
    if (!row["weight"].contains(dimension) || !row["weight"][dimension].is_number())
      fail(path, number, "no weight for '" + dimension + "'");
    weights.push_back(row["weight"][dimension].get<float>());
    if (!std::isfinite(weights.back()) || weights.back() < 0) fail(path, number, "weight of '" + dimension + "' must be a number >= 0");
  }
  return weights;
}

// The labels that the row changes, NaN for the others.
std::vector<float> read_labels(const std::filesystem::path& path, int64_t number, const Json& row, const std::vector<std::string>& dimensions) {
  std::vector<float> labels(dimensions.size(), std::numeric_limits<float>::quiet_NaN());
  if (!row.contains("label")) return labels;
  if (!row["label"].is_object()) fail(path, number, "'label' must be an object of new labels by dimension");
  for (const auto& [name, value] : row["label"].items()) {
    const auto found = std::find(dimensions.begin(), dimensions.end(), name);
    if (found == dimensions.end()) fail(path, number, "new label for the unknown dimension '" + name + "'");
    if (!value.is_number() || !std::isfinite(value.get<float>())) fail(path, number, "new label of '" + name + "' must be a number");
    labels[static_cast<size_t>(found - dimensions.begin())] = value.get<float>();
  }
  return labels;
}

}  // namespace

RefinementPlan keep_all(const std::vector<std::string>& ids, const std::vector<std::string>& dimensions) {
  const auto rows = static_cast<int64_t>(ids.size()), columns = static_cast<int64_t>(dimensions.size());
  return {.ids = ids,
          .dimensions = dimensions,
          .keep_N = std::vector<uint8_t>(ids.size(), 1),
          .weight_NK = at::ones({rows, columns}, at::kFloat),
          .label_NK = {},
          .header = {{"strategy", "none"}}};
}

void write_plan(const std::filesystem::path& path, const RefinementPlan& plan) {
  nlohmann::json header = plan.header;
  header["dimensions"] = plan.dimensions;
  std::string text = header.dump() + "\n";
  const at::Tensor weight_NK = plan.weight_NK.to(at::kFloat).contiguous();
  const at::Tensor label_NK = plan.label_NK.defined() ? plan.label_NK.to(at::kFloat).contiguous() : at::Tensor();
  for (size_t n = 0; n < plan.ids.size(); ++n) {
    Json row{{"id", plan.ids[n]}, {"keep", plan.keep_N[n] != 0}, {"weight", Json::object()}};
    for (size_t k = 0; k < plan.dimensions.size(); ++k) {
      const size_t cell = n * plan.dimensions.size() + k;
      row["weight"][plan.dimensions[k]] = weight_NK.const_data_ptr<float>()[cell];
      if (!label_NK.defined() || std::isnan(label_NK.const_data_ptr<float>()[cell])) continue;
      row["label"][plan.dimensions[k]] = label_NK.const_data_ptr<float>()[cell];
    }
    text += row.dump() + "\n";
  }
  core::write_file_atomic(path, text);
}

RefinementPlan read_plan(const std::filesystem::path& path) {
  std::istringstream lines(core::read_file(path));
  RefinementPlan plan;
  std::vector<float> weights, labels;
  std::set<std::string> seen;
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.empty()) continue;
    const Json row = parse_line(path, number, line);
    if (plan.header.is_null()) {
      read_header(path, number, row, plan);
      continue;
    }
    if (!row.contains("id") || !row["id"].is_string() || !row.contains("keep") || !row["keep"].is_boolean()) {
      fail(path, number, "a row needs 'id', 'keep' and 'weight'");
    }
    plan.ids.push_back(row["id"].get<std::string>());
    if (!seen.insert(plan.ids.back()).second) fail(path, number, "duplicate id '" + plan.ids.back() + "'");
    plan.keep_N.push_back(row["keep"].get<bool>() ? 1 : 0);
    for (const float weight : read_weights(path, number, row, plan.dimensions)) weights.push_back(weight);
    for (const float label : read_labels(path, number, row, plan.dimensions)) labels.push_back(label);
  }
  if (plan.ids.empty()) fail(path, number, "holds no samples");
  const auto table = [&](const std::vector<float>& cells) {
    return at::tensor(at::ArrayRef<float>(cells)).view({static_cast<int64_t>(plan.ids.size()), static_cast<int64_t>(plan.dimensions.size())});
  };
  plan.weight_NK = table(weights);
  if (std::any_of(labels.begin(), labels.end(), [](float label) { return !std::isnan(label); })) plan.label_NK = table(labels);
  return plan;
}

}  // namespace mvrm::refine
