// SPDX-License-Identifier: Apache-2.0
#include "row_reader.h"

#include <mvrm/core/error.h>

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

// The instructions of every published VideoScore prompt end with this line; a caption doesn't hold it.
bool holds_instructions(const std::string& prompt) {
  return prompt.find("<image>") != std::string::npos || prompt.find("all the frames of video are as follows") != std::string::npos;
}

}  // namespace

void RowReader::fail(const std::string& why) const {
  throw core::DataError(path_.string() + ":" + std::to_string(row_.line) + ": " + (id_.empty() ? "" : "sample '" + id_ + "': ") + why, id_);
}

Sample RowReader::read(const std::vector<std::string>& dimensions, const ManifestOptions& options) {
  Sample sample{.line = row_.line};
  std::string id = text("id");
  if (id.empty()) fail("'id' is empty");
  if (id.size() > kMaxNameBytes || std::any_of(id.begin(), id.end(), [](unsigned char c) { return c < ' ' || c == 0x7F; })) {
    fail("'id' is too long or holds a control character: " + excerpt(id, 80));
  }
  sample.id = id_ = std::move(id);
  read_prompt(sample);
  read_media(sample);
  sample.label_K = read_labels(dimensions, options);
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
  if (value.get_ref<const std::string&>().size() > kMaxTextBytes) {
    fail(std::string("'") + key + "' is longer than " + std::to_string(kMaxTextBytes) + " bytes");
  }
}

std::string RowReader::text(const char* key) const {
  if (!has(key)) fail(std::string("has no '") + key + "'");
  check_text(key, row_.object[key]);
  return row_.object[key].get<std::string>();
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
  const fs::path path(name);
  if (path.is_absolute()) return path;
  const fs::path inside = path.lexically_normal();
  if (!inside.empty() && *inside.begin() == "..") fail("path '" + excerpt(name, 200) + "' leaves the folder of the data file");
  return folder / inside;
}

// VideoFeedback's rows hold bare names; its archives unpack to images/<name up to "_">/, VideoScore-Bench's to <id>/.
fs::path RowReader::folder_of_images(const std::string& first) const {
  const fs::path parent = path_.parent_path();
  if (first.find('/') != std::string::npos || fs::exists(resolve(first, parent))) return parent;
  const fs::path by_prefix = fs::path("images") / first.substr(0, first.find('_'));
  for (const fs::path& inside : {by_prefix, fs::path(id_)}) {
    if (fs::exists(resolve((inside / first).string(), parent))) return parent / inside;
  }
  return parent;
}

void RowReader::read_media(Sample& sample) const {
  if (has("video")) {
    if (has("images")) fail("has both 'video' and 'images'; keep one");
    sample.video = resolve(text("video"), path_.parent_path());
    return;
  }
  const char* key = has("images") ? "images" : "image";
  if (!has(key)) fail("has neither 'video' nor 'images'");
  const Json& found = row_.object[key];
  const Json list = found.is_string() ? Json::array({found}) : found;
  if (!list.is_array() || list.empty()) fail(std::string("'") + key + "' must be a list of at least one path");
  if (!std::all_of(list.begin(), list.end(), [](const Json& entry) { return entry.is_string(); })) {
    fail(std::string("'") + key + "' holds something that is not a text");
  }
  const fs::path folder = folder_of_images(list[0].get<std::string>());
  for (const auto& entry : list) sample.images.push_back(resolve(entry.get<std::string>(), folder));
}

std::vector<float> RowReader::read_labels(const std::vector<std::string>& dimensions, const ManifestOptions& options) const {
  std::vector<float> values(dimensions.size(), kNoLabel);
  const std::optional<RowLabels> found = labels();
  if (found && found->names_are_free) {
    for (const auto& [name, value] : found->values.items()) {
      if (std::find(dimensions.begin(), dimensions.end(), name) != dimensions.end()) continue;
      std::string known;
      for (const auto& dimension : dimensions) known += (known.empty() ? "" : ", ") + dimension;
      fail("unknown dimension '" + excerpt(name, 80) + "'; known: " + known);
    }
  }
  for (size_t k = 0; found && k < dimensions.size(); ++k) {
    if (found->values.contains(dimensions[k])) values[k] = label(found->values[dimensions[k]], dimensions[k], *found, options);
  }
  if (options.require_labels && std::all_of(values.begin(), values.end(), [](float value) { return std::isnan(value); })) {
    fail("has no labels");
  }
  return values;
}

float RowReader::label(const Json& value, const std::string& dimension, const RowLabels& labels, const ManifestOptions& options) const {
  if (value.is_null()) return kNoLabel;
  const std::string written = excerpt(value.dump(), 40);
  if (!value.is_number()) fail("label of '" + dimension + "' is not a number: " + written);
  const auto number = value.get<double>();
  if (!std::isfinite(number)) fail("label of '" + dimension + "' is not finite: " + written);
  if (!labels.any_scale && (number < options.label_low || number > options.label_high)) {
    fail("label of '" + dimension + "' is " + written + ", outside " + Json(options.label_low).dump() + ".." + Json(options.label_high).dump());
  }
  return static_cast<float>(number);
}

}  // namespace mvrm::data
