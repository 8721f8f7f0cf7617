// SPDX-License-Identifier: Apache-2.0
// Rows into samples. Labels are matched by name; what can't be believed is an error with its place.
#include <mvrm/data/manifest.h>

#include "manifest_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <unordered_map>

namespace mvrm::data {

namespace fs = std::filesystem;

std::vector<std::string> videofeedback_dimensions() {
  return {"visual quality", "temporal consistency", "dynamic degree", "text-to-video alignment", "factual consistency"};
}

namespace {

constexpr size_t kMaxTextBytes = size_t{1} << 20;

class RowReader {
 public:
  RowReader(const fs::path& path, const Row& row) : path_(path), row_(row) {}

  [[noreturn]] void fail(const std::string& why) const {
    throw core::DataError(path_.string() + ":" + std::to_string(row_.line) + ": " + (id_.empty() ? "" : "sample '" + id_ + "': ") + why, id_);
  }

  Sample read(const std::vector<std::string>& dimensions, const ManifestOptions& options) {
    Sample sample{.line = row_.line};
    sample.id = id_ = text("id");
    if (id_.empty()) fail("'id' is empty");
    read_prompt(sample);
    read_media(sample);
    sample.label_K = labels(dimensions, options);
    return sample;
  }

  // The object that holds the labels, nullptr when the row has none: `labels`, or VideoFeedback's five columns of the row itself.
  const Json* label_object() const {
    if (const auto found = row_.object.find("labels"); found != row_.object.end()) return found->is_null() ? nullptr : &*found;
    for (const auto& name : videofeedback_dimensions()) {
      if (row_.object.contains(name)) return &row_.object;
    }
    return nullptr;
  }

 private:
  std::string text(const char* key) const {
    const auto found = row_.object.find(key);
    if (found == row_.object.end()) fail(std::string("has no '") + key + "'");
    if (!found->is_string()) fail(std::string("'") + key + "' is not a text");
    auto value = found->get<std::string>();
    if (value.size() > kMaxTextBytes) fail(std::string("'") + key + "' is longer than " + std::to_string(kMaxTextBytes) + " bytes");
    return value;
  }

  void read_prompt(Sample& sample) const {
    if (row_.object.contains("prompt")) {
      sample.prompt = text("prompt");
    } else if (row_.object.contains("conversations")) {
      const Json& turns = row_.object["conversations"];
      if (!turns.is_array() || turns.empty() || !turns[0].is_object() || !turns[0].contains("value") || !turns[0]["value"].is_string()) {
        fail("'conversations' must be a list whose first entry has a text 'value'");
      }
      sample.prompt = turns[0]["value"].get<std::string>();
      sample.prompt_is_complete = true;
    } else {
      sample.prompt = text("text prompt");
    }
    // VideoScore's training file keeps the whole instruction under "prompt": it holds the image marks already.
    if (sample.prompt.find("<image>") != std::string::npos) sample.prompt_is_complete = true;
  }

  fs::path resolve(const std::string& name) const {
    if (name.empty()) fail("names an empty media path");
    const fs::path path(name);
    if (path.is_absolute()) return path;
    const fs::path inside = path.lexically_normal();
    if (!inside.empty() && *inside.begin() == "..") fail("path '" + name + "' leaves the folder of the data file");
    return path_.parent_path() / inside;
  }

  void read_media(Sample& sample) const {
    if (row_.object.contains("video")) {
      sample.video = resolve(text("video"));
      return;
    }
    const char* key = row_.object.contains("images") ? "images" : "image";
    const auto found = row_.object.find(key);
    if (found == row_.object.end()) fail("has neither 'video' nor 'images'");
    const Json list = found->is_string() ? Json::array({*found}) : *found;
    if (!list.is_array() || list.empty()) fail("'images' must be a list of at least one path");
    for (const auto& entry : list) {
      if (!entry.is_string()) fail("'images' holds something that is not a text");
      sample.images.push_back(resolve(entry.get<std::string>()));
    }
  }

  std::vector<float> labels(const std::vector<std::string>& dimensions, const ManifestOptions& options) const {
    const Json* object = label_object();
    if (object == nullptr) {
      if (options.require_labels) fail("has no labels");
      return std::vector<float>(dimensions.size(), std::numeric_limits<float>::quiet_NaN());
    }
    if (!object->is_object()) fail("'labels' must be an object of dimension names and numbers");
    if (object != &row_.object) {
      for (const auto& [name, value] : object->items()) {
        if (std::find(dimensions.begin(), dimensions.end(), name) != dimensions.end()) continue;
        std::string known;
        for (const auto& dimension : dimensions) known += (known.empty() ? "" : ", ") + dimension;
        fail("unknown dimension '" + name + "'; known: " + known);
      }
    }
    std::vector<float> values;
    for (const auto& dimension : dimensions) values.push_back(label(*object, dimension, options));
    return values;
  }

  float label(const Json& object, const std::string& dimension, const ManifestOptions& options) const {
    const auto found = object.find(dimension);
    if (found == object.end() || found->is_null()) return std::numeric_limits<float>::quiet_NaN();
    if (!found->is_number()) fail("label of '" + dimension + "' is not a number: " + found->dump().substr(0, 40));
    const auto value = found->get<double>();
    if (!std::isfinite(value) || value < options.label_low || value > options.label_high) {
      fail("label of '" + dimension + "' is " + found->dump().substr(0, 40) + ", outside " + Json(options.label_low).dump() + ".." + Json(options.label_high).dump());
    }
    return static_cast<float>(value);
  }

  const fs::path& path_;
  const Row& row_;
  std::string id_;
};

std::vector<std::string> dimensions_of(const fs::path& path, const std::vector<Row>& rows) {
  for (const auto& row : rows) {
    const Json* labels = RowReader(path, row).label_object();
    if (labels == nullptr || labels == &row.object || !labels->is_object() || labels->empty()) continue;
    std::vector<std::string> names;
    for (const auto& [name, value] : labels->items()) names.push_back(name);
    return names;
  }
  return videofeedback_dimensions();
}

}  // namespace

Manifest load_manifest(const fs::path& path, const ManifestOptions& options) {
  if (!fs::is_regular_file(path)) throw core::DataError(path.string() + ": data file not found");
  const std::string text = core::read_file(path);
  const std::vector<Row> rows = read_rows(path, text);
  Manifest manifest{.path = path, .dimensions = options.dimensions ? *options.dimensions : dimensions_of(path, rows), .samples = {},
                    .hash = core::sha256_hex(text)};
  std::unordered_map<std::string, int64_t> line_of_id;
  for (const auto& row : rows) {
    RowReader reader(path, row);
    manifest.samples.push_back(reader.read(manifest.dimensions, options));
    const auto [first, fresh] = line_of_id.emplace(manifest.samples.back().id, row.line);
    if (!fresh) reader.fail("duplicate id; first on line " + std::to_string(first->second));
  }
  return manifest;
}

}  // namespace mvrm::data
