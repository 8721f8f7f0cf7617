// SPDX-License-Identifier: Apache-2.0
// Parquet through Arrow's C++ library (docs/decisions/0004-parquet.md), behind MVRM_PARQUET.
#pragma once
#include "manifest_rows.h"

namespace mvrm::data {

// Every row as the JSON object that JSON Lines would hold; Row::line is its number from 1. A column of a type without JSON is an
// error when a data file uses its name, and is left out otherwise. Memory is bounded whatever the file claims: 512 MiB for what Arrow
// decodes at a time, for the rows a hundred times the size of the file and at least 256 MiB. Bad rows (invalid UTF-8) as in
// read_row_file(). Throws DataError "file: cause" for everything
// else, always so in a build without Parquet.
std::vector<Row> read_parquet_rows(const std::filesystem::path& path, const OnProblem& on_problem);

}  // namespace mvrm::data
