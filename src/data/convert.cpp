// SPDX-License-Identifier: Apache-2.0
#include <mvrm/core/files.h>
#include <mvrm/data/convert.h>

#include <unordered_map>

#include "layouts.h"
#include "pair_rows.h"
#include "row_reader.h"
#include "sample_rows.h"

namespace mvrm::data {

namespace fs = std::filesystem;

namespace {

struct Layout {
  const char* name;
  std::optional<Json> (*write)(const Written&, Losses&);  // nullptr: the row as it is
  const char* extension;                                  // nullptr: .json or .jsonl
};
constexpr Layout kLayouts[] = {{"mvrm", as_mvrm, nullptr},
                               {"videofeedback", as_videofeedback, nullptr},
                               {"videoscore-train", as_videoscore_train, nullptr},
                               {"jsonl", nullptr, ".jsonl"},
                               {"json", nullptr, ".json"}};

const Layout& layout_of(const std::string& name, const fs::path& out) {
  const std::string extension = out.extension().string();
  std::string known;
  for (const auto& layout : kLayouts) {
    known += (known.empty() ? "" : ", ") + std::string(layout.name);
    if (name != layout.name) continue;
    if (layout.extension != nullptr ? extension != layout.extension : extension != ".json" && extension != ".jsonl") {
      throw core::ConfigError(out.string() + ": layout '" + name + "' is written to a file named " +
                              (layout.extension != nullptr ? layout.extension : ".json or .jsonl"));
    }
    return layout;
  }
  throw core::ConfigError("unknown layout '" + name + "'; known: " + known);
}

fs::path whole_path(const fs::path& path) { return fs::weakly_canonical(fs::absolute(path)); }

// Relative to the folder of the written file, or absolute where it lies outside of it.
class Rebase {
 public:
  explicit Rebase(const fs::path& out) : folder_(whole_path(out).parent_path()) {}
  std::string operator()(const fs::path& path) const {
    const fs::path file = fs::absolute(path).lexically_normal();
    const fs::path inside = (whole_path(file.parent_path()) / file.filename()).lexically_relative(folder_);
    return inside.empty() || *inside.begin() == ".." ? file.string() : inside.string();
  }
  bool keeps(const fs::path& data_file) const { return whole_path(data_file).parent_path() == folder_; }

 private:
  fs::path folder_;
};

class Converter {
 public:
  Converter(const Layout& layout, const fs::path& out) : layout_(layout), rebase_(out) {}

  void add(const fs::path& input) {
    // Reading it as a manifest first checks it whole and says which dimensions it has.
    const Manifest manifest = load_manifest(input, {.dimensions = dimensions_});
    if (!dimensions_ && !manifest.samples.empty()) dimensions_ = manifest.dimensions;
    for (const Sample& sample : manifest.samples) {
      const auto [first, fresh] = file_of_id_.emplace(sample.id, input.string());
      if (!fresh) throw RowError(input, {.line = sample.line, .id = sample.id, .cause = "duplicate id; first in " + first->second});
    }
    if (layout_.write == nullptr) {
      add_as_they_are(input, manifest);
    } else {
      add_written(input, manifest);
    }
  }
  ConvertReport report;
  std::vector<Json> rows;

 private:
  void add_written(const fs::path& input, const Manifest& manifest) {
    const std::vector<Row> from = read_sample_rows(input, {});
    for (size_t n = 0; n < from.size(); ++n) {
      const Sample& sample = manifest.samples[n];
      const std::optional<RowLabels> labels = labels_of(from[n].object);
      Written written{
          .row = from[n], .sample = sample, .labels = labels, .video = sample.video.empty() ? "" : rebase_(sample.video), .images = {}};
      for (const fs::path& image : sample.images) written.images.push_back(rebase_(image));
      ++report.rows_read;
      if (auto row = layout_.write(written, report.losses)) rows.push_back(std::move(*row));
    }
  }

  // Media paths change only when the file moves to another folder.
  void add_as_they_are(const fs::path& input, const Manifest& manifest) {
    size_t n = 0;
    for (Row& row : read_row_file(input).rows) {
      const bool pair = is_pair(row);
      ++report.rows_read;
      if (!rebase_.keeps(input)) move_media(row.object, manifest.samples[n], pair ? &manifest.samples[n + 1] : nullptr);
      n += pair ? 2 : 1;
      rows.push_back(std::move(row.object));
    }
  }
  void move_media(Json& row, const Sample& sample, const Sample* right) const {
    if (right != nullptr) {
      row["left_video"] = rebase_(sample.video);
      row["right_video"] = rebase_(right->video);
      return;
    }
    if (!sample.video.empty()) {
      if (!row.contains("video") && !row.contains("images")) row.erase("video link");  // it was the clip
      for (const char* key : {"images", "image"}) row.erase(key);
      row["video"] = rebase_(sample.video);
      return;
    }
    for (const char* key : {"video", "image"}) row.erase(key);
    row["images"] = Json::array();
    for (const fs::path& image : sample.images) row["images"].push_back(rebase_(image));
  }

  const Layout& layout_;
  Rebase rebase_;
  std::optional<std::vector<std::string>> dimensions_;
  std::unordered_map<std::string, std::string> file_of_id_;
};

std::string text_of(const std::vector<Json>& rows, const fs::path& out) {
  const auto replace = Json::error_handler_t::replace;
  if (out.extension() == ".json") return Json(rows).dump(4, ' ', false, replace) + "\n";
  std::string text;
  for (const Json& row : rows) text += row.dump(-1, ' ', false, replace) + "\n";
  return text;
}

}  // namespace

std::vector<std::string> layout_names() {
  std::vector<std::string> names;
  for (const auto& layout : kLayouts) names.emplace_back(layout.name);
  return names;
}

ConvertReport convert_data(const std::vector<fs::path>& inputs, const std::string& layout, const fs::path& out) {
  Converter converter(layout_of(layout, out), out);
  for (const fs::path& input : inputs) converter.add(input);
  converter.report.rows_written = static_cast<int64_t>(converter.rows.size());
  if (converter.rows.empty()) {
    std::string why;
    for (const auto& [what, count] : converter.report.losses) why += (why.empty() ? "" : "; ") + what + ": " + std::to_string(count);
    throw core::DataError(inputs.at(0).string() + ": layout '" + layout + "' can hold none of its rows: " + why);
  }
  core::write_file_atomic(out, text_of(converter.rows, out));
  return converter.report;
}

}  // namespace mvrm::data
