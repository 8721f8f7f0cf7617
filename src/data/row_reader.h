// SPDX-License-Identifier: Apache-2.0
// One row into one Sample: id, prompt, media, labels. Every complaint is a DataError "file:line: sample 'id': cause".
#pragma once
#include <mvrm/data/manifest.h>

#include <optional>

#include "manifest_rows.h"
#include "row_labels.h"

namespace mvrm::data {

// Holds references: `path` and `row` must outlive it.
class RowReader {
 public:
  RowReader(const std::filesystem::path& path, const Row& row) : path_(path), row_(row) {}
  Sample read(const std::vector<std::string>& dimensions, const ManifestOptions& options);
  std::optional<RowLabels> labels() const;
  [[noreturn]] void fail(const std::string& why) const;

 private:
  bool has(const char* key) const;  // there and not null
  std::string text(const char* key) const;
  void check_text(const char* key, const Json& value) const;
  void read_prompt(Sample& sample) const;
  void read_media(Sample& sample) const;
  std::filesystem::path resolve(const std::string& name, const std::filesystem::path& folder) const;
  std::filesystem::path folder_of_images(const std::string& first) const;
  std::vector<float> read_labels(const std::vector<std::string>& dimensions, const ManifestOptions& options) const;
  float label(const Json& value, const std::string& dimension, const RowLabels& labels, const ManifestOptions& options) const;

  const std::filesystem::path& path_;
  const Row& row_;
  std::string id_;
};

}  // namespace mvrm::data
