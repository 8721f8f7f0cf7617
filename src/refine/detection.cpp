// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/refine/detection.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <unordered_map>

namespace mvrm::refine {

using Json = nlohmann::ordered_json;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Labels of equal risk, of which `positives` are wrong. Groups by falling risk.
struct TiedGroup {
  int64_t size = 0, positives = 0;
};

std::vector<TiedGroup> tied_groups(const std::vector<double>& risk, const std::vector<uint8_t>& positive) {
  MVRM_CHECK(risk.size() == positive.size(), risk.size(), " risks for ", positive.size(), " labels");
  std::vector<size_t> order;
  for (size_t i = 0; i < risk.size(); ++i) {
    if (!std::isnan(risk[i])) order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return risk[a] > risk[b]; });
  std::vector<TiedGroup> groups;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || risk[order[i]] != risk[order[i - 1]]) groups.emplace_back();
    ++groups.back().size;
    groups.back().positives += positive[order[i]] != 0 ? 1 : 0;
  }
  return groups;
}

int64_t positives_of(const std::vector<TiedGroup>& groups) {
  int64_t positives = 0;
  for (const auto& group : groups) positives += group.positives;
  return positives;
}

}  // namespace

double auroc(const std::vector<double>& risk, const std::vector<uint8_t>& positive) {
  const auto groups = tied_groups(risk, positive);
  double pairs = 0, above = 0, total = 0;  // (positive, negative) pairs in the right order; ties count half
  for (const auto& group : groups) {
    const auto hits = static_cast<double>(group.positives), misses = static_cast<double>(group.size) - hits;
    pairs += misses * (above + 0.5 * hits);
    above += hits;
    total += misses;
  }
  return above > 0 && total > 0 ? pairs / (above * total) : kNan;
}

double average_precision(const std::vector<double>& risk, const std::vector<uint8_t>& positive) {
  const auto groups = tied_groups(risk, positive);
  const auto positives = static_cast<double>(positives_of(groups));
  if (positives == 0) return kNan;
  double sum = 0, hits = 0, seen = 0;
  for (const auto& group : groups) {
    hits += static_cast<double>(group.positives);
    seen += static_cast<double>(group.size);
    sum += static_cast<double>(group.positives) / positives * (hits / seen);
  }
  return sum;
}

double precision_at(const std::vector<double>& risk, const std::vector<uint8_t>& positive, int64_t count) {
  if (count < 1) return kNan;
  double hits = 0;
  int64_t left = count;
  for (const auto& group : tied_groups(risk, positive)) {
    const int64_t taken = std::min(left, group.size);
    hits += static_cast<double>(taken) * static_cast<double>(group.positives) / static_cast<double>(group.size);
    left -= taken;
    if (left == 0) return hits / static_cast<double>(count);
  }
  return kNan;
}

std::vector<Detection> detect(const at::Tensor& risk_NK, const at::Tensor& corrupted_NK, const std::vector<int64_t>& counts) {
  core::check_shape(corrupted_NK, {risk_NK.size(0), risk_NK.size(1)}, "corrupted");
  const at::Tensor risk = risk_NK.to(at::kDouble).contiguous(), corrupted = corrupted_NK.to(at::kByte).contiguous();
  const int64_t rows = risk.size(0), dimensions = risk.size(1);
  std::vector<Detection> result;
  for (int64_t k = 0; k < dimensions; ++k) {
    std::vector<double> values;
    std::vector<uint8_t> wrong;
    Detection found;
    for (int64_t n = 0; n < rows; ++n) {
      const double value = risk.const_data_ptr<double>()[n * dimensions + k];
      if (std::isnan(value)) continue;
      values.push_back(value);
      wrong.push_back(corrupted.const_data_ptr<uint8_t>()[n * dimensions + k]);
      found.positives += wrong.back() != 0 ? 1 : 0;
    }
    found.labels = static_cast<int64_t>(values.size());
    found.auroc = auroc(values, wrong);
    found.average_precision = average_precision(values, wrong);
    found.precision_at_positives = precision_at(values, wrong, found.positives);
    for (const int64_t count : counts) {
      if (count <= found.labels) found.precision_at.emplace_back(count, precision_at(values, wrong, count));
    }
    result.push_back(std::move(found));
  }
  return result;
}

nlohmann::ordered_json to_json(const std::vector<Detection>& detection_K, const std::vector<std::string>& dimensions) {
  const auto number = [](double x) { return std::isfinite(x) ? Json(x) : Json(); };
  Json document{{"dimensions", Json::object()}, {"mean", Json::object()}};
  for (size_t k = 0; k < dimensions.size(); ++k) {
    const Detection& found = detection_K[k];
    Json at = Json::object();
    for (const auto& [count, precision] : found.precision_at) at[std::to_string(count)] = number(precision);
    document["dimensions"][dimensions[k]] = {{"labels", found.labels}, {"positives", found.positives}, {"auroc", number(found.auroc)},
                                             {"average_precision", number(found.average_precision)},
                                             {"precision_at_positives", number(found.precision_at_positives)}, {"precision_at", at}};
  }
  for (const char* name : {"auroc", "average_precision", "precision_at_positives"}) {
    double sum = 0;
    int64_t count = 0;
    for (const auto& row : document["dimensions"]) {
      if (!row.at(name).is_number()) continue;
      sum += row.at(name).get<double>();
      ++count;
    }
    document["mean"][name] = count > 0 ? Json(sum / static_cast<double>(count)) : Json();
  }
  return document;
}

at::Tensor read_truth(const std::filesystem::path& path, const influence::Profile& profile) {
  std::unordered_map<std::string, std::pair<int64_t, Json>> truth;
  std::istringstream lines(core::read_file(path));
  int64_t number = 0;
  const auto fail = [&](int64_t line, const std::string& why) { throw core::DataError(path.string() + ":" + std::to_string(line) + ": " + why); };
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.empty()) continue;
    const Json row = Json::parse(line, nullptr, false);
    if (!row.is_object() || !row.contains("id") || !row["id"].is_string() || !row.contains("corrupted") || !row["corrupted"].is_object())
      fail(number, "a row needs a text 'id' and an object 'corrupted' of true or false by dimension");
    if (!truth.emplace(row["id"].get<std::string>(), std::pair(number, row["corrupted"])).second) fail(number, "duplicate id " + row["id"].dump());
  }
  const auto rows = static_cast<int64_t>(profile.ids.size()), dimensions = static_cast<int64_t>(profile.dimensions.size());
  at::Tensor corrupted_NK = at::zeros({rows, dimensions}, at::kByte);
  for (size_t n = 0; n < profile.ids.size(); ++n) {
    const auto found = truth.find(profile.ids[n]);
    if (found == truth.end()) throw core::DataError(path.string() + ": has no row for sample '" + profile.ids[n] + "' of the profile", profile.ids[n]);
    const auto& [line, flags] = found->second;
    for (size_t k = 0; k < profile.dimensions.size(); ++k) {
      const auto flag = flags.find(profile.dimensions[k]);
      if (flag == flags.end() || !flag->is_boolean()) fail(line, "'corrupted' does not say true or false for '" + profile.dimensions[k] + "'");
      corrupted_NK.mutable_data_ptr<uint8_t>()[n * profile.dimensions.size() + k] = flag->get<bool>() ? 1 : 0;
    }
  }
  return corrupted_NK;
}

}  // namespace mvrm::refine
