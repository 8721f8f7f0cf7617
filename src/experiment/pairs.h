// SPDX-License-Identifier: Apache-2.0
// Pairs of clips and which of the two people prefer: GenAI-Bench's where it is given, else rendered clips of another kind.
#pragma once
#include <cstdint>
#include <filesystem>
#include <mvrm/core/context.h>

namespace mvrm::experiment {

struct PairFiles {
  std::filesystem::path clips, votes;
};
// Clips of another length, size and palette than the training set's. The clip whose mean level is higher by more than a quarter of a level
// is preferred; otherwise it is a tie. Writes pairs.jsonl (ids "N_left", "N_right"), votes.jsonl ("idx", "human_vote") and videos/.
PairFiles render_pairs(const std::filesystem::path& directory, int64_t pairs, uint64_t seed, const core::Context& context);

}  // namespace mvrm::experiment
