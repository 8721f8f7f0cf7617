// SPDX-License-Identifier: Apache-2.0
// GenAI-Bench keeps two clips and one vote in a row; a sample is one clip (spec/videoscore.md 9.6, 9.8).
#pragma once
#include "manifest_rows.h"

namespace mvrm::data {

bool is_pair(const Row& row);

// {"prompt", "left_video", "right_video", "vote_type"[, "idx"]} -> rows "NNNN_left" and "NNNN_right" with `preference`: 1 and 0 for a
// left or right vote, 0.5 on both sides for tievote and bothbad_vote. `index`: NNNN where the row has no "idx".
// Throws RowError: a side or the vote is missing, or the vote is unknown.
std::vector<Row> split_pair(const std::filesystem::path& path, const Row& row, int64_t index);

}  // namespace mvrm::data
