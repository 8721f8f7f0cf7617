// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/data/manifest.h>
#include <mvrm/refine/corrections.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <unordered_map>

namespace mvrm::refine {

using Json = nlohmann::json;

namespace {

std::optional<double> read_label(const Json& row, const char* key, const std::string& place) {
  if (!row.contains(key)) throw core::DataError(place + ": a correction needs 'id', 'dimension', 'old' and 'new'");
  if (row[key].is_null()) return std::nullopt;
  if (!row[key].is_number() || !std::isfinite(row[key].get<double>())) {
    throw core::DataError(place + ": '" + key + "' must be a number, or null for no label");
  }
  return row[key].get<double>();
}

std::string text_of(float label) {
  std::ostringstream out;
  out << label;
  return std::isnan(label) ? "no label" : out.str();
}

}  // namespace

std::vector<Correction> read_corrections(const std::filesystem::path& path) {
  std::istringstream lines(core::read_file(path));
  std::vector<Correction> corrections;
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.empty()) continue;
    const std::string place = path.string() + ":" + std::to_string(number);
    const Json row = Json::parse(line, nullptr, false);
    if (!row.is_object()) throw core::DataError(place + ": is not a JSON object");
    for (const char* key : {"id", "dimension"}) {
      if (!row.contains(key) || !row[key].is_string()) throw core::DataError(place + ": a correction needs a text '" + key + "'");
    }
    corrections.push_back({.id = row["id"], .dimension = row["dimension"], .old_label = read_label(row, "old", place),
                           .new_label = read_label(row, "new", place), .place = place});
  }
  return corrections;
}

LabelScale label_scale(const at::Tensor& label_NK) {
  const data::ManifestOptions usual;
  LabelScale scale{.low = usual.label_low, .high = usual.label_high};
  const at::Tensor given = label_NK.masked_select(label_NK.isfinite());
  if (given.numel() == 0) return scale;
  return {.low = std::min(scale.low, given.min().item<double>()), .high = std::max(scale.high, given.max().item<double>())};
}

at::Tensor corrected_labels(const at::Tensor& label_NK, const std::vector<std::string>& ids, const std::vector<std::string>& dimensions,
                            const std::vector<Correction>& corrections) {
  at::Tensor corrected_NK = label_NK.to(at::kFloat).clone().contiguous();
  const at::Tensor given_NK = label_NK.to(at::kFloat).contiguous();
  const LabelScale scale = label_scale(given_NK);
  std::unordered_map<std::string, size_t> row_of_id;
  for (size_t n = 0; n < ids.size(); ++n) row_of_id.emplace(ids[n], n);
  for (const auto& correction : corrections) {
    const auto row = row_of_id.find(correction.id);
    if (row == row_of_id.end()) throw core::DataError(correction.place + ": sample '" + correction.id + "' is not in the data", correction.id);
    const auto dimension = std::find(dimensions.begin(), dimensions.end(), correction.dimension);
    if (dimension == dimensions.end()) throw core::DataError(correction.place + ": unknown dimension '" + correction.dimension + "'");
    const size_t cell = row->second * dimensions.size() + static_cast<size_t>(dimension - dimensions.begin());
    float& label = corrected_NK.mutable_data_ptr<float>()[cell];
    const float given = given_NK.const_data_ptr<float>()[cell];
    const auto wanted = [](const std::optional<double>& value) {
      return value ? static_cast<float>(*value) : std::numeric_limits<float>::quiet_NaN();
    };
    const auto same = [](float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); };
    const float old = wanted(correction.old_label);
    if (!same(old, given) && !same(old, label)) {
      throw core::DataError(correction.place + ": says the label was " + text_of(old) + ", the data has " + text_of(given), correction.id);
    }
    label = wanted(correction.new_label);
    if (label < scale.low || label > scale.high) {
      throw core::DataError(correction.place + ": the new label " + text_of(label) + " is outside the labels' scale, " +
                            text_of(static_cast<float>(scale.low)) + " to " + text_of(static_cast<float>(scale.high)), correction.id);
    }
  }
  return corrected_NK;
}

}  // namespace mvrm::refine
