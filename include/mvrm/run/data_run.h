// SPDX-License-Identifier: Apache-2.0
// What `mvrm data check` and `mvrm data convert` say.
#pragma once
#include <mvrm/data/check.h>
#include <mvrm/data/convert.h>
#include <string>

namespace mvrm::run {

// Tables of labels, frame counts and sizes, then one line a problem.
std::string check_text(const data::CheckReport& report);
// {"file", "hash", "samples", "bad_rows", "clips", "frame_lists", "preferences", "media_checked",
//  "dimensions": {name: {"labels": {"3": n, …}, "unlabelled": n}}, "frames": {"16": n}, "sizes": {"480x640": n},
//  "problems": [{"line", "id", "cause"}]}; sizes are height x width.
std::string check_json(const data::CheckReport& report);
// "FILE: 3 problems in 2 rows": what ends the command when there are any.
std::string check_verdict(const data::CheckReport& report);

// One line on what was written, and one for each thing that the layout can't hold.
std::string convert_text(const data::ConvertReport& report, const std::string& layout, const std::filesystem::path& out);
std::string convert_json(const data::ConvertReport& report, const std::string& layout, const std::filesystem::path& out);

}  // namespace mvrm::run
