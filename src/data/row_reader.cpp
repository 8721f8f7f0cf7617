// SPDX-License-Identifier: Apache-2.0
#include "row_reader.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace mvrm::data {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxTextBytes = size_t{1} << 20;
constexpr size_t kMaxNameBytes = 4096;  // ids and paths
constexpr float kNoLabel = std::numeric_limits<float>::quiet_NaN();

size_t count_of(const std::string& text, const std::string& mark) {
  size_t count = 0;
  for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + mark.size())) ++count;
  return count;
}

bool is_url(const std::string& name) { return name.find("://") != std::string::npos; }

}  // namespace

bool holds_instructions(const std::string& prompt) {
  return prompt.find("<image>") != std::string::npos || prompt.find("all the frames of video are as follows") != std::string::npos;
}

void RowReader::fail(const std::string& why) const { throw RowError(path_, {.line = row_.line, .id = id_, .cause = why}); }

std::optional<Sample> RowReader::read(const std::vector<std::string>& dimensions, const ManifestOptions& options) {
  Sample sample{.line = row_.line};
  bool good = attempt(options.on_problem, [&] { read_id(sample); });
  good = attempt(options.on_problem, [&] { read_prompt(sample); }) && good;
  good = attempt(options.on_problem, [&] { read_media(sample); }) && good;
  good = attempt(options.on_problem, [&] { read_preferences(sample); }) && good;
  good = read_labels(sample, dimensions, options) && good;
  if (!good) return std::nullopt;
  return sample;
}

std::optional<RowLabels> RowReader::labels() const {
  try {
    return labels_of(row_.object);
  } catch (const std::invalid_argument& error) {
    fail(error.what());
  }
}

bool RowReader::has(const char* key) const {
  const auto found = row_.object.find(key);
  return found != row_.object.end() && !found->is_null();
}

void RowReader::check_text(const char* key, const Json& value) const {
  if (!value.is_string()) fail(std::string("'") + key + "' is not a text");
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > kMaxTextBytes) fail(std::string("'") + key + "' is longer than " + std::to_string(kMaxTextBytes) + " bytes");
  if (text.find('\0') != std::string::npos) fail(std::string("'") + key + "' holds a NUL character");
}

std::string RowReader::text(const char* key) const {
  if (!has(key)) fail(std::string("has no '") + key + "'");
  check_text(key, row_.object[key]);
  return row_.object[key].get<std::string>();
}

void RowReader::read_id(Sample& sample) {
  std::string id = text("id");
  if (id.empty()) fail("'id' is empty");
  if (id.size() > kMaxNameBytes || std::any_of(id.begin(), id.end(), [](unsigned char c) { return c < ' ' || c == 0x7F; })) {
    fail("'id' is too long or holds a control character: " + excerpt(id, 80));
  }
  sample.id = id_ = std::move(id);
}

void RowReader::read_prompt(Sample& sample) const {
  if (has("prompt")) {
    sample.prompt = text("prompt");
    // VideoScore's training file keeps the whole instruction under "prompt".
    sample.prompt_is_complete = holds_instructions(sample.prompt);
  } else if (has("conversations")) {
    const Json& turns = row_.object["conversations"];
    if (!turns.is_array() || turns.empty() || !turns[0].is_object() || !turns[0].contains("value")) {
      fail("'conversations' must be a list whose first entry has a text 'value'");
    }
    check_text("conversations[0].value", turns[0]["value"]);
    sample.prompt = turns[0]["value"].get<std::string>();
    sample.prompt_is_complete = true;
  } else if (has("text prompt")) {
    sample.prompt = text("text prompt");
  } else {
    fail("has no 'prompt'");
  }
}

fs::path RowReader::resolve(const std::string& name, const fs::path& folder) const {
  if (name.empty()) fail("names an empty media path");
  if (name.size() > kMaxNameBytes || name.find('\0') != std::string::npos) {
    fail("a media path is too long or holds a NUL character: " + excerpt(name, 80));
  }
  if (is_url(name)) fail("media '" + excerpt(name, 200) + "' is a URL; only local files are read");
  const fs::path path(name);
  if (path.is_absolute()) return path;
  const fs::path inside = path.lexically_normal();
  if (!inside.empty() && *inside.begin() == "..") fail("path '" + excerpt(name, 200) + "' leaves the folder of the data file");
  return folder / inside;
}

void RowReader::read_media(Sample& sample) const {
  const char* frames = has("images") ? "images" : "image";
  const bool has_frames = has(frames) && !(row_.object[frames].is_array() && row_.object[frames].empty());
  if (has("video")) {
    if (has_frames) fail("has both 'video' and 'images'; keep one");
    read_clip(sample, text("video"));
  } else if (has_frames) {
    read_frames(sample, frames);
  } else if (has("video link") && row_.object["video link"].is_string() && !is_url(text("video link"))) {
    read_clip(sample, text("video link"));
  } else {
    fail(has(frames) ? std::string("'") + frames + "' must be a list of at least one path" : "has neither 'video' nor 'images'");
  }
}

// A clip, or a folder of its frames.
void RowReader::read_clip(Sample& sample, const std::string& name) const {
  const fs::path path = resolve(name, path_.parent_path());
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    sample.video = path;
    return;
  }
  sample.images = pictures_in(path);
  if (sample.images.empty()) fail("'" + excerpt(name, 200) + "' is a folder without .jpg or .png frames");
}

void RowReader::read_frames(Sample& sample, const char* key) const {
  const Json& found = row_.object[key];
  const Json list = found.is_string() ? Json::array({found}) : found;
  if (!list.is_array()) fail(std::string("'") + key + "' must be a list of at least one path");
  if (!std::all_of(list.begin(), list.end(), [](const Json& entry) { return entry.is_string(); })) {
    fail(std::string("'") + key + "' holds something that is not a text");
  }
  const auto first = list[0].get<std::string>();
  const auto folder = folders_.of_frames(first, id_);
  for (const auto& entry : list) sample.images.push_back(resolve(entry.get<std::string>(), folder.value_or(path_.parent_path())));
  if (!folder && first.find('/') == std::string::npos) {
    if (const auto video = folders_.video_of(id_)) {
      sample.video = *video;
      sample.images.clear();
      return;
    }
  }
  const size_t marks = sample.prompt_is_complete ? count_of(sample.prompt, "<image>") : 0;
  if (marks > list.size()) fail("the prompt holds " + std::to_string(marks) + " <image> for " + std::to_string(list.size()) + " frames");
}

void RowReader::read_preferences(Sample& sample) const {
  if (!has("preference")) return;
  const Json& found = row_.object["preference"];
  const auto add = [&](const std::string& over, const Json& value, bool any) {
    if (value.is_null()) return;
    const double number = value.is_number() ? value.get<double>() : NAN;
    if (!std::isfinite(number) || !(any || number == 0 || number == 0.5 || number == 1)) {
      fail("'preference' must be 0, 0.5 or 1, not " + excerpt(value.dump(-1, ' ', false, Json::error_handler_t::replace), 40));
    }
    sample.preferences.push_back({.over = over, .value = number});
  };
  if (!found.is_object()) return add("", found, true);  // only the order of both sides' numbers is ever used
  for (const auto& [model, value] : found.items()) add(model, value, false);
}

void RowReader::check_names(const RowLabels& labels, const std::vector<std::string>& dimensions) const {
  if (!labels.names_are_free) return;
  for (const auto& [name, value] : labels.values.items()) {
    if (std::find(dimensions.begin(), dimensions.end(), name) != dimensions.end()) continue;
    std::string known;
    for (const auto& dimension : dimensions) known += (known.empty() ? "" : ", ") + dimension;
    fail("unknown dimension '" + excerpt(name, 80) + "'; known: " + known);
  }
}

bool RowReader::read_labels(Sample& sample, const std::vector<std::string>& dimensions, const ManifestOptions& options) const {
  std::vector<float>& values = sample.label_K;
  values.assign(dimensions.size(), kNoLabel);
  std::optional<RowLabels> found;
  if (!attempt(options.on_problem, [&] { found = labels(); })) return false;
  bool good = !found || attempt(options.on_problem, [&] { check_names(*found, dimensions); });
  for (size_t k = 0; found && k < dimensions.size(); ++k) {
    if (!found->values.contains(dimensions[k])) continue;
    good = attempt(options.on_problem, [&] { values[k] = label(found->values[dimensions[k]], dimensions[k], *found, options); }) && good;
  }
  const bool none = std::all_of(values.begin(), values.end(), [](float value) { return std::isnan(value); });
  if (options.require_labels && good && none) good = attempt(options.on_problem, [&] { fail("has no labels"); });
  return good;
}

float RowReader::label(const Json& value, const std::string& dimension, const RowLabels& labels, const ManifestOptions& options) const {
  if (value.is_null()) return kNoLabel;
  if (!value.is_number()) {
    const std::string written = excerpt(value.dump(-1, ' ', false, Json::error_handler_t::replace), 40);
    fail("label of '" + dimension + "' is not a number: " + written);
  }
  const auto number = value.get<double>();
  if (!std::isfinite(number)) fail("label of '" + dimension + "' is not finite");  // NaN of a Parquet file; JSON has none
  if (!labels.any_scale && (number < options.label_low || number > options.label_high)) {
    fail("label of '" + dimension + "' is " + value.dump() + ", outside " + Json(options.label_low).dump() + ".." +
         Json(options.label_high).dump());
  }
  return static_cast<float>(number);
}

}  // namespace mvrm::data
