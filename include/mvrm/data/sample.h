// SPDX-License-Identifier: Apache-2.0
// One row of a data file, before anything is decoded.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace mvrm::data {

// What people preferred, VideoScore-Bench's `preference`: 1 = this clip, 0 = the other one, 0.5 = neither.
struct Preference {
  std::string over;                                // the other model (VBench); empty: the clip of the other side (GenAI-Bench)
  double value = 0.5;
};

struct Sample {
  std::string id;                                  // unique in its file
  std::string prompt;                              // caption, or the whole conversation text where prompt_is_complete
  bool prompt_is_complete = false;                 // true: already holds the instructions, no template is applied
  std::filesystem::path video;                     // either a clip …
  std::vector<std::filesystem::path> images;       // … or its frames in order; paths already resolved against the file's folder
  std::vector<float> label_K;                      // in the order of Manifest::dimensions; NaN = no label; empty = unlabelled row
  int64_t line = 0;                                // where the row starts in its file, 1-based, for messages; in Parquet its number
  std::vector<Preference> preferences = {};        // of the benchmarks that compare clips
};

}  // namespace mvrm::data
