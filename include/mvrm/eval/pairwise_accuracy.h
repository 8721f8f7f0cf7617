// SPDX-License-Identifier: Apache-2.0
// Pairwise accuracy after VideoScore's rule (GenAI-Bench, VBench): do two rewards order two videos as people did?
// P pairs, K dimensions; the last of K + 1 columns of outcomes is the mean over the dimensions.
#pragma once
#include <mvrm/eval/predictions.h>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace mvrm::eval {

enum class Preference : int8_t { right = -1, tie = 0, left = 1 };
// Preferred side: its reward must be higher. No preference: the rewards must be closer than 0.5. Equal rewards on a preferred pair: wrong.
bool agrees(double left, double right, Preference preference);

// Pairs in the order of their file. The key is the number of the pair: prediction ids are "<key>_left" and "<key>_right".
struct Votes {
  std::vector<int64_t> keys;
  std::vector<Preference> preferences;
};
// GenAI-Bench rows {"idx", "human_vote"} (ties and both-bad are no preference), or VideoScore-Bench rows {"id": "0007_left",
// "preference": number}, two a pair; a JSON array, JSON Lines, or Parquet where built in. A row that holds both clips of a pair
// ("left_video") and no "idx" has its place in the file for one. Throws DataError with file, row and cause.
Votes read_votes(const std::filesystem::path& path);

struct PairTable {
  std::vector<int64_t> keys;
  std::vector<Preference> preferences;
  std::vector<std::string> dimensions;
  std::vector<double> left, right;  // [P, K], rounded to 3 decimals as in VideoScore's result files
};
// Pairs with two predictions, in the order of the votes. A prediction of no voted pair, or with one side only, throws DataError;
// `drop_unpaired` leaves out the latter, as VideoScore's script does. Rows without a reward count as missing.
PairTable match_pairs(const Predictions& predictions, const Votes& votes, const std::string& name, bool drop_unpaired = false);

struct AccuracyInterval {
  double accuracy = 0, low = 0, high = 0;  // 0..1; NaN when there are no pairs
};
struct DimensionAccuracy {
  std::string name;
  AccuracyInterval all, without_ties;
};
struct PairwiseResult {
  int64_t pairs = 0, pairs_without_ties = 0;
  AccuracyInterval all, without_ties;  // of the mean over dimensions
  std::vector<DimensionAccuracy> dimensions;
};
// 95 % percentile bootstrap intervals over pairs; independent of `threads`.
PairwiseResult evaluate_pairs(const PairTable& pairs, int64_t resamples = 1000, uint64_t seed = 42, int64_t threads = 1);
std::string to_json_text(const PairwiseResult& result);  // cli.md shape

// The published random row: Python's random.seed(seed), then per pair left and right = random() * 4; one dimension, "random".
PairTable random_pairs(const Votes& votes, uint32_t seed);

}  // namespace mvrm::eval
