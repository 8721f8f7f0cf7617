// SPDX-License-Identifier: Apache-2.0
// A data file looked at as a whole before anything is trained on it: every problem of every row, every clip decoded, and what the
// data consist of.
#pragma once
#include <mvrm/core/context.h>
#include <mvrm/data/manifest.h>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mvrm::data {

struct CheckOptions {
  bool media = true;              // decode every clip and frame; false = rows only
  ManifestOptions manifest = {};  // on_problem is not used
};

struct CheckReport {
  std::filesystem::path path;
  std::string hash;                                     // SHA-256 of the file; empty when it can't be read as a whole
  int64_t samples = 0;                                  // those without a problem in their row; media may still be bad
  int64_t clips = 0, frame_lists = 0, preferences = 0;  // samples with a clip, with pictures, with a preference
  bool media_checked = false;
  std::vector<std::string> dimensions;                    // K
  std::vector<std::map<double, int64_t>> label_counts_K;  // how often each label is given; NaN left out
  std::vector<int64_t> unlabelled_K;
  std::map<int64_t, int64_t> frame_counts;               // frames -> samples
  std::map<std::pair<int64_t, int64_t>, int64_t> sizes;  // (height, width) of the first frame -> samples
  std::vector<Problem> problems;                         // ordered by line; line 0 = the file as a whole
  int64_t bad_rows() const;                              // distinct lines of `problems`
};

// Decodes context.threads samples at a time. Throws nothing for bad data: what is wrong is in `problems`.
CheckReport check_data(const std::filesystem::path& path, const CheckOptions& options, const core::Context& context);

// "file:line: sample 'id': cause"
std::string words_of(const CheckReport& report, const Problem& problem);

}  // namespace mvrm::data
