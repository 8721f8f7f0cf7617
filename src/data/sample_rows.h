// SPDX-License-Identifier: Apache-2.0
// The rows of a data file, one a sample.
#pragma once
#include "manifest_rows.h"

namespace mvrm::data {

// read_row_file() with the pairs of GenAI-Bench split. `hash`: where to put the file's SHA-256, may be null.
std::vector<Row> read_sample_rows(const std::filesystem::path& path, const OnProblem& on_problem, std::string* hash = nullptr);

}  // namespace mvrm::data
