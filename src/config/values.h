// SPDX-License-Identifier: Apache-2.0
// One value of the tree into one field, typed by the field. Private to config.
#pragma once
#include <mvrm/config/fields.h>

#include "node.h"

namespace mvrm::config {

// `entry` is the key with its value; `path` its full name for messages. Throws ConfigError.
void read_value(const Entry& entry, const std::string& path, const Field& field);
// The shortest text that reads back to the same number.
std::string number_text(double value);

}  // namespace mvrm::config
