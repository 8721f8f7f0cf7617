// SPDX-License-Identifier: Apache-2.0
// "did you mean". Private to config.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace mvrm::config {

// The candidate nearest to `word` by edit distance (neighbours swapped count once), if it is near at all.
std::optional<std::string> nearest(const std::string& word, const std::vector<std::string>& candidates);
std::string joined(const std::vector<std::string>& words);   // "a, b, c"

}  // namespace mvrm::config
