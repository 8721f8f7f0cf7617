// SPDX-License-Identifier: Apache-2.0
// Text inside of HTML and SVG.
#pragma once
#include <string>

namespace mvrm::report {

// `& < > "` as entities: data never becomes markup.
std::string escaped(const std::string& text);

}  // namespace mvrm::report
