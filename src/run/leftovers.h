// SPDX-License-Identifier: Apache-2.0
// What a killed job left half-written: core::write_file_atomic's temporary files.
#pragma once
#include <filesystem>

namespace mvrm::run {

// Removes NAME.tmp-PID in `folder` itself, where no process PID runs on this machine. A missing folder is an empty one.
void remove_leftovers(const std::filesystem::path& folder);

}  // namespace mvrm::run
