// SPDX-License-Identifier: Apache-2.0
// How well a risk finds labels that are known to be wrong: area under the ROC curve, average precision, precision among the first k.
#pragma once
#include <mvrm/influence/profile.h>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace mvrm::refine {

// Area under the ROC curve with mid-ranks (Mann-Whitney), O(N log N). NaN risks are left out; NaN when a class is empty.
double auroc(const std::vector<double>& risk, const std::vector<uint8_t>& positive);
// Sum over distinct risks, falling, of (recall gained) * (precision so far): scikit-learn's average_precision_score. NaN risks are left
// out; NaN without positives.
double average_precision(const std::vector<double>& risk, const std::vector<uint8_t>& positive);
// Share of positives among the `count` highest risks; where a tie is cut, the mean over all ways to cut it. NaN risks are left out; NaN
// when fewer than `count` are left or count < 1.
double precision_at(const std::vector<double>& risk, const std::vector<uint8_t>& positive, int64_t count);

// Of one dimension. precision_at_positives: among as many labels as are wrong (also called R-precision).
struct Detection {
  int64_t labels = 0, positives = 0;
  double auroc = 0, average_precision = 0, precision_at_positives = 0;
  std::vector<std::pair<int64_t, double>> precision_at;  // count -> precision
};
// One for each dimension; `corrupted_NK` uint8. Cells with NaN risk take no part. Counts beyond the labels are left out of precision_at.
std::vector<Detection> detect(const core::Tensor& risk_NK, const core::Tensor& corrupted_NK, const std::vector<int64_t>& counts = {});

// {"dimensions": {name: {"labels", "positives", "auroc", "average_precision", "precision_at_positives", "precision_at": {"10": x}}},
//  "mean": {…}}; the mean is over dimensions where the number exists; null where none does.
nlohmann::ordered_json to_json(const std::vector<Detection>& detection_K, const std::vector<std::string>& dimensions);

// Truth file of mvrm synth: {"id", "corrupted": {dimension: true or false}} a line. uint8 [N,K] in the profile's order. Throws DataError
// "file:line: …" for a bad row, and for a sample or dimension of the profile without truth.
core::Tensor read_truth(const std::filesystem::path& path, const influence::Profile& profile);

}  // namespace mvrm::refine
