// SPDX-License-Identifier: Apache-2.0
// Corrections: labels that a person looked at again. A log, so a later line about the same label replaces an earlier one.
#pragma once
#include <mvrm/core/tensor.h>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mvrm::refine {

struct Correction {
  std::string id, dimension;
  std::optional<double> old_label, new_label;  // nullopt: no label; a new one of nullopt withdraws the label
  std::string place;                           // "file:line", for messages
};
// corrections.jsonl: {"id", "dimension", "old", "new", "by", "at"} a line; "by" and "at" are for people. Throws DataError "file:line: why".
std::vector<Correction> read_corrections(const std::filesystem::path& path);

// What a new label must keep to: 1 to 4 as in data files, or what the labels given span where their scale is wider (VideoScore-Bench).
struct LabelScale { double low, high; };
LabelScale label_scale(const core::Tensor& label_NK);

// label_NK (float32) after the corrections. Throws DataError when an id or dimension is unknown, when "new" is beyond the labels' scale, or
// when "old" is neither the label in the table nor what an earlier line made of it: then the file belongs to other data.
core::Tensor corrected_labels(const core::Tensor& label_NK, const std::vector<std::string>& ids, const std::vector<std::string>& dimensions,
                              const std::vector<Correction>& corrections);

}  // namespace mvrm::refine
