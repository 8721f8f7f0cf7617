// SPDX-License-Identifier: Apache-2.0
// The paper's validation split: a random 40 % of the test split chooses hyperparameters (a pruning ratio per dimension), the rest is
// reported apart. Which part an id falls into depends on the seed and the set of ids, never on their order in a file.
#pragma once
#include <mvrm/eval/predictions.h>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace mvrm::eval {

struct Split {
  std::vector<std::string> validation, test;  // disjoint, each in the order of the input
};
// The round(fraction * n) of n different ids with the smallest hash of (seed, id) are the validation part. An id that repeats counts once.
Split split_by_id(const std::vector<std::string>& ids, uint64_t seed, double fraction = 0.4);

// Throws DataError naming an id that is in both: `where` says which lists these are.
void check_disjoint(const std::vector<std::string>& validation, const std::vector<std::string>& test, const std::string& where);

// JSON Lines of {"id", "split": "validation" or "test"}. Reading throws DataError for an id in both parts, or twice.
void write_split(const std::filesystem::path& path, const Split& split);
Split read_split(const std::filesystem::path& path);

// The rows with these ids, all of them; throws DataError when an id has no row.
Predictions rows_with_ids(const Predictions& predictions, const std::vector<std::string>& ids);

}  // namespace mvrm::eval
