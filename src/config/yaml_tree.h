// SPDX-License-Identifier: Apache-2.0
// YAML text into a Node tree, with every guard of yaml_reader.h. Private to config.
#pragma once
#include <string_view>

#include "node.h"

namespace mvrm::config {

// `place` names the source; its line is 0 for a text that has no lines of its own, an override. A text without a document
// (empty, comments only) is an empty map. Throws ConfigError.
NodePtr parse_yaml(std::string_view text, const Place& place);
// Throws ConfigError for invalid UTF-8, control characters and tabs in the indentation.
void check_text(std::string_view text, const Place& place);
// A piece of the user's text, shortened and on one line, for a message.
std::string shown(std::string_view text);

}  // namespace mvrm::config
