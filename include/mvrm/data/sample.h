// SPDX-License-Identifier: Apache-2.0
// One row of a data file, before anything is decoded.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace mvrm::data {

struct Sample {
  std::string id;                                  // unique in its file
  std::string prompt;                              // caption, or the whole conversation text where prompt_is_complete
  bool prompt_is_complete = false;                 // true: already holds the instructions, no template is applied
  std::filesystem::path video;                     // either a clip …
  std::vector<std::filesystem::path> images;       // … or its frames in order; paths already resolved against the file's folder
  std::vector<float> label_K;                      // in the order of Manifest::dimensions; NaN = no label; empty = unlabelled row
  int64_t line = 0;                                // where the row starts in its file, 1-based, for messages
};

}  // namespace mvrm::data
