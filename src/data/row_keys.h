// SPDX-License-Identifier: Apache-2.0
// The keys of data files that mean something, in every layout that is read (docs/files.md).
#pragma once
#include <set>
#include <string>

namespace mvrm::data {

inline const std::set<std::string>& sample_keys() {
  static const std::set<std::string> keys{"id", "video", "images", "image", "prompt", "text prompt", "video link", "labels", "score_list",
                                          "preference", "conversations", "visual quality", "temporal consistency", "dynamic degree",
                                          "text-to-video alignment", "factual consistency"};
  return keys;
}
// What rows of pairs have beside them.
inline const std::set<std::string>& pair_keys() {
  static const std::set<std::string> keys{"left_video", "right_video", "vote_type", "idx"};
  return keys;
}

}  // namespace mvrm::data
