// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/refine/plan.h>
#include <cmath>
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

}  // namespace

RefinementPlan keep_all(const std::vector<std::string>& ids, const std::vector<std::string>& dimensions) {
  const auto rows = static_cast<int64_t>(ids.size()), columns = static_cast<int64_t>(dimensions.size());
  return {.ids = ids,
          .dimensions = dimensions,
          .keep_N = std::vector<uint8_t>(ids.size(), 1),
          .weight_NK = at::ones({rows, columns}, at::kFloat),
          .header = {{"strategy", "none"}}};
}

void write_plan(const std::filesystem::path& path, const RefinementPlan& plan) {
  nlohmann::json header = plan.header;
  header["dimensions"] = plan.dimensions;
  std::string text = header.dump() + "\n";
  const at::Tensor weight_NK = plan.weight_NK.to(at::kFloat).contiguous();
  for (size_t n = 0; n < plan.ids.size(); ++n) {
    Json weight;
    for (size_t k = 0; k < plan.dimensions.size(); ++k) {
      weight[plan.dimensions[k]] = weight_NK.const_data_ptr<float>()[n * plan.dimensions.size() + k];
    }
    text += Json{{"id", plan.ids[n]}, {"keep", plan.keep_N[n] != 0}, {"weight", weight}}.dump() + "\n";
  }
  core::write_file_atomic(path, text);
}

RefinementPlan read_plan(const std::filesystem::path& path) {
  std::istringstream lines(core::read_file(path));
  RefinementPlan plan;
  std::vector<float> weights;
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
  }
  if (plan.ids.empty()) fail(path, number, "holds no samples");
  plan.weight_NK =
      at::tensor(at::ArrayRef<float>(weights)).view({static_cast<int64_t>(plan.ids.size()), static_cast<int64_t>(plan.dimensions.size())});
  return plan;
}

nlohmann::json to_json(const PlanSummary& summary, const std::vector<std::string>& dimensions) {
  nlohmann::json document{{"strategy", summary.strategy},
                          {"kept", summary.kept},
                          {"removed", summary.removed},
                          {"cumulative_union", summary.cumulative_union},
                          {"label_histogram_removed", summary.label_histogram_removed},
                          {"per_dimension", nlohmann::json::object()}};
  for (size_t k = 0; k < dimensions.size(); ++k) {
    const bool any = std::isfinite(summary.threshold_K[k]);
    document["per_dimension"][dimensions[k]] = {{"threshold", any ? nlohmann::json(summary.threshold_K[k]) : nlohmann::json()},
                                                {"count", summary.count_K[k]}};
  }
  return document;
}

}  // namespace mvrm::refine
