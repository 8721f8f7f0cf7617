// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/random.h>
#include <mvrm/eval/split.h>
#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "row_file.h"

namespace mvrm::eval {

Split split_by_id(const std::vector<std::string>& ids, uint64_t seed, double fraction) {
  MVRM_CHECK(fraction >= 0 && fraction <= 1, "a validation part of ", fraction);
  std::vector<std::string> different;
  std::unordered_set<std::string> seen;
  for (const auto& id : ids) {
    if (seen.insert(id).second) different.push_back(id);
  }
  const auto rank_of = [&](const std::string& id) { return core::combine64(core::combine64(seed, core::hash64("validation split")), core::hash64(id)); };
  std::vector<std::pair<uint64_t, std::string>> order;
  for (const auto& id : different) order.emplace_back(rank_of(id), id);
  std::sort(order.begin(), order.end());
  order.resize(static_cast<size_t>(std::llround(fraction * static_cast<double>(order.size()))));
  std::unordered_set<std::string> chosen;
  for (const auto& [rank, id] : order) chosen.insert(id);
  Split split;
  for (auto& id : different) (chosen.contains(id) ? split.validation : split.test).push_back(std::move(id));
  return split;
}

void check_disjoint(const std::vector<std::string>& validation, const std::vector<std::string>& test, const std::string& where) {
  const std::unordered_set<std::string> seen(validation.begin(), validation.end());
  for (const auto& id : test) {
    if (seen.contains(id)) fail_row(where, id, "is in both the validation and the test part");
  }
}

void write_split(const std::filesystem::path& path, const Split& split) {
  std::string text;
  const auto add = [&](const std::vector<std::string>& ids, const char* part) {
    for (const auto& id : ids) text += Row{{"id", id}, {"split", part}}.dump() + "\n";
  };
  add(split.validation, "validation");
  add(split.test, "test");
  core::write_file_atomic(path, text);
}

Split read_split(const std::filesystem::path& path) {
  Split split;
  std::unordered_map<std::string, std::string> part_of;
  for_each_row(path, [&](const Row& row, const std::string& where) {
    const std::string& id = text_field(row, "id", where);
    const std::string& part = text_field(row, "split", where, id);
    if (part != "validation" && part != "test") fail_row(where, id, "unknown split '" + part + "'; known: validation, test");
    const auto [first, fresh] = part_of.emplace(id, part);
    if (!fresh) fail_row(where, id, first->second == part ? "duplicate id" : "is in both the validation and the test part");
    (part == "validation" ? split.validation : split.test).push_back(id);
  });
  return split;
}

Predictions rows_with_ids(const Predictions& predictions, const std::vector<std::string>& ids) {
  const std::unordered_set<std::string> wanted(ids.begin(), ids.end());
  Predictions result{.ids = {}, .dimensions = predictions.dimensions};
  std::vector<int64_t> rows;
  std::unordered_set<std::string> found;
  for (size_t n = 0; n < predictions.ids.size(); ++n) {
    if (!wanted.contains(predictions.ids[n])) continue;
    found.insert(predictions.ids[n]);
    rows.push_back(static_cast<int64_t>(n));
    result.ids.push_back(predictions.ids[n]);
    if (n < predictions.prompts.size()) result.prompts.push_back(predictions.prompts[n]);
  }
  for (const auto& id : ids) {
    if (!found.contains(id)) throw core::DataError("sample '" + id + "' of the split has no prediction", id);
  }
  const at::Tensor index = at::tensor(rows, at::kLong);
  result.reward_NK = predictions.reward_NK.index_select(0, index);
  result.label_NK = predictions.label_NK.index_select(0, index);
  return result;
}

}  // namespace mvrm::eval
