// SPDX-License-Identifier: Apache-2.0
// One row into one Sample: id, prompt, media, labels, preferences. Every complaint is a RowError "file:line: sample 'id': cause".
#pragma once
#include <mvrm/data/manifest.h>
#include <mvrm/data/media_folders.h>

#include <optional>

#include "manifest_rows.h"
#include "row_labels.h"

namespace mvrm::data {

// The instructions of every published VideoScore prompt end with one line that a caption doesn't hold.
bool holds_instructions(const std::string& prompt);

// Holds references: all arguments must outlive it.
class RowReader {
 public:
  RowReader(const std::filesystem::path& path, const Row& row, const MediaFolders& folders) : path_(path), row_(row), folders_(folders) {}
  // With options.on_problem every part of the row is looked at whatever is wrong with the others; nullopt = something was.
  std::optional<Sample> read(const std::vector<std::string>& dimensions, const ManifestOptions& options);
  std::optional<RowLabels> labels() const;
  [[noreturn]] void fail(const std::string& why) const;

 private:
  bool has(const char* key) const;  // there and not null
  std::string text(const char* key) const;
  void check_text(const char* key, const Json& value) const;
  void read_id(Sample& sample);
  void read_prompt(Sample& sample) const;
  void read_media(Sample& sample) const;
  void read_clip(Sample& sample, const std::string& name) const;
  void read_frames(Sample& sample, const char* key) const;
  void read_preferences(Sample& sample) const;
  std::filesystem::path resolve(const std::string& name, const std::filesystem::path& folder) const;
  // Whether every label is good.
  bool read_labels(Sample& sample, const std::vector<std::string>& dimensions, const ManifestOptions& options) const;
  void check_names(const RowLabels& labels, const std::vector<std::string>& dimensions) const;
  float label(const Json& value, const std::string& dimension, const RowLabels& labels, const ManifestOptions& options) const;

  const std::filesystem::path& path_;
  const Row& row_;
  const MediaFolders& folders_;
  std::string id_;
};

}  // namespace mvrm::data
