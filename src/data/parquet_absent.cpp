// SPDX-License-Identifier: Apache-2.0
// What a build without MVRM_PARQUET says about Parquet.
#include <mvrm/data/manifest.h>

#include "parquet_rows.h"

namespace mvrm::data {

bool reads_parquet() { return false; }

std::vector<Row> read_parquet_rows(const std::filesystem::path& path, const OnProblem&) {
  throw core::DataError(path.string() +
                        ": this build does not read Parquet; configure with -DMVRM_PARQUET=ON or convert the file to JSON Lines");
}

}  // namespace mvrm::data
