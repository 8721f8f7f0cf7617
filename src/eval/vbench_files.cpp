// SPDX-License-Identifier: Apache-2.0
#include "vbench_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <mvrm/data/manifest.h>

#include "row_file.h"

namespace mvrm::eval {

namespace {

constexpr std::array<const char*, 5> kAspects = {"technical_quality", "subject_consistency", "dynamics_degree", "motion_smoothness",
                                                 "overall_consistency"};

// Of the conversation's first turn: the text between `text prompt is "` and `",` at the end of a line.
std::string prompt_of(const Row& row) {
  if (const Row* field = find_field(row, {"prompt", "text prompt", "text"}); field && field->is_string()) return field->get<std::string>();
  const Row* turns = find_field(row, {"conversations"});
  if (!turns || !turns->is_array() || turns->empty() || !turns->front().is_object()) return "";
  const Row* value = find_field(turns->front(), {"value"});
  if (!value || !value->is_string()) return "";
  const std::string text = value->get<std::string>(), opening = "text prompt is \"";
  const size_t begin = text.find(opening), end = begin == std::string::npos ? begin : text.find("\",\n", begin + opening.size());
  return end == std::string::npos ? "" : text.substr(begin + opening.size(), end - begin - opening.size());
}

std::unordered_map<VbenchKey, VbenchVideo> preferences_of(const data::Manifest& manifest) {
  std::unordered_map<VbenchKey, VbenchVideo> videos;
  for (const auto& sample : manifest.samples) {
    const std::string where = manifest.path.string() + ": row " + std::to_string(sample.line);
    const auto parts = vbench_id(sample.id);
    if (!parts || parts->aspect.empty()) fail_row(where, sample.id, "a VBench id is <aspect>_<number>_<model>");
    VbenchVideo video{.where = where, .prompt = sample.prompt_is_complete ? "" : sample.prompt, .over = {}};
    for (const auto& preference : sample.preferences) {
      if (preference.over != parts->model) video.over[preference.over] = preference.value;
    }
    videos.emplace(sample.id, std::move(video));
  }
  return videos;
}

}  // namespace

std::optional<VbenchId> vbench_id(const std::string& id) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  for (size_t at = 0; at < id.size(); ++at) {
    if (!is_digit(id[at]) || (at > 0 && id[at - 1] != '_')) continue;
    VbenchId result{.aspect = at == 0 ? "" : id.substr(0, at - 1), .number = 0, .model = {}};
    const auto [end, error] = std::from_chars(id.data() + at, id.data() + id.size(), result.number);
    const auto after = static_cast<size_t>(end - id.data());
    if (error != std::errc{} || after + 1 >= id.size() || id[after] != '_') continue;
    if (at == 1) return std::nullopt;  // "_0_model"
    result.model = id.substr(after + 1);
    return result;
  }
  return std::nullopt;
}

std::string AspectOrder::next(int64_t number, const std::string& where, const std::string& id) {
  if (number < last_) ++aspect_;
  last_ = number;
  if (aspect_ >= kAspects.size()) fail_row(where, id, "the id names no aspect, and its number falls more often than VBench has aspects");
  return kAspects[aspect_];
}

std::unordered_map<VbenchKey, VbenchVideo> read_vbench_preferences(const std::filesystem::path& path) {
  if (path.extension() == ".parquet") return preferences_of(data::load_manifest(path));
  std::unordered_map<VbenchKey, VbenchVideo> videos;
  for_each_row(path, [&](const Row& row, const std::string& where) {
    const std::string& id = text_field(row, "id", where);
    const auto parts = vbench_id(id);
    if (!parts || parts->aspect.empty()) fail_row(where, id, "a VBench id is <aspect>_<number>_<model>");
    const Row* preference = find_field(row, {"preference"});
    if (!preference || !preference->is_object()) fail_row(where, id, "'preference' must be an object of other models and 0, 0.5, 1 or null");
    VbenchVideo video{.where = where, .prompt = prompt_of(row), .over = {}};
    for (const auto& [model, value] : preference->items()) {
      if (value.is_null() || model == parts->model) continue;
      const double number = value.is_number() ? value.get<double>() : -1;
      if (number != 0 && number != 0.5 && number != 1) fail_row(where, id, "'preference." + model + "' must be 0, 0.5, 1 or null");
      video.over[model] = number;
    }
    const auto [first, fresh] = videos.emplace(id, std::move(video));
    if (!fresh) fail_row(where, id, "duplicate id; first in " + first->second.where);
  });
  return videos;
}

}  // namespace mvrm::eval
