// SPDX-License-Identifier: Apache-2.0
// Which rows of a table a rank works on, and how all ranks get the whole table back. Rows are interleaved: rank r has r, r + size, …
// Not here: shards of parameters, which training cuts by bytes.
#pragma once
#include <mvrm/dist/communicator.h>
#include <cstdint>
#include <vector>

namespace mvrm::dist {

// Ascending; the ranks' lists cover 0..rows-1 once.
std::vector<int64_t> interleaved_rows(int64_t rows, const Communicator& comm);
// Collective. Copies every rank's own rows of `table` [rows, …] to all ranks, in place and bit for bit (NaN included).
void share_interleaved_rows(Tensor& table, Communicator& comm);

}  // namespace mvrm::dist
