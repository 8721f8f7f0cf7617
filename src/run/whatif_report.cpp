// SPDX-License-Identifier: Apache-2.0
// How the result of `mvrm whatif` is shown.
#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <mvrm/core/csv.h>
#include <mvrm/core/files.h>
#include <mvrm/report/table.h>
#include <mvrm/run/whatif_run.h>
#include <nlohmann/json.hpp>
#include <tuple>

namespace mvrm::run {

namespace {

using Json = nlohmann::ordered_json;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }
double at_cell(const at::Tensor& table, int64_t n, size_t k) { return table[n][static_cast<int64_t>(k)].item<double>(); }

std::string dimension_table(const WhatIfResult& result) {
  report::Table table{.header = {"dimension", "mean |change|", "largest |change|", "Spearman before", "after", "lambda"}, .rows = {}};
  const at::Tensor change_TK = (result.after_TK - result.before_TK).abs();
  for (size_t k = 0; k < result.train.dimensions.size(); ++k) {
    const at::Tensor column_T = change_TK.select(1, static_cast<int64_t>(k));
    char lambda[32];
    std::snprintf(lambda, sizeof lambda, "%.3g", result.lambda_K[k]);
    table.rows.push_back({result.train.dimensions[k], report::fixed(column_T.mean().item<double>(), 5), report::fixed(column_T.max().item<double>(), 5),
                          report::fixed(result.spearman_before_K[k], 4), report::fixed(result.spearman_after_K[k], 4), lambda});
  }
  return report::to_text(table);
}

std::string moved_table(const WhatIfResult& result, int64_t top) {
  std::vector<std::tuple<double, int64_t, size_t>> cells;
  const at::Tensor change_TK = (result.after_TK - result.before_TK).contiguous();
  const size_t dimensions = result.train.dimensions.size();
  const auto* change = change_TK.const_data_ptr<double>();
  for (size_t cell = 0; cell < static_cast<size_t>(change_TK.numel()); ++cell) {
    if (std::isfinite(change[cell]) && change[cell] != 0) cells.emplace_back(-std::abs(change[cell]), static_cast<int64_t>(cell / dimensions), cell % dimensions);
  }
  const size_t shown = std::min(cells.size(), static_cast<size_t>(top));
  std::partial_sort(cells.begin(), cells.begin() + static_cast<std::ptrdiff_t>(shown), cells.end());
  cells.resize(shown);
  report::Table table{.header = {"id", "dimension", "before", "after", "change"}, .rows = {}};
  for (const auto& [order, n, k] : cells) {
    const double before = at_cell(result.before_TK, n, k), after = at_cell(result.after_TK, n, k);
    table.rows.push_back({result.test.ids[static_cast<size_t>(n)], result.train.dimensions[k], report::fixed(before, 4), report::fixed(after, 4),
                          report::fixed(after - before, 5)});
  }
  return report::to_text(table);
}

std::string explanation_table(const WhatIfResult& result) {
  const bool by_head = result.by == "head";
  report::Table table{.header = {"dimension", "training sample", "label", by_head ? "influence" : "reward without it"}, .rows = {}};
  for (size_t k = 0; k < result.explanation_K.size(); ++k) {
    const double now = at_cell(result.before_TK, result.explained_row, k);
    for (const auto* rows : {&result.explanation_K[k].proponents, &result.explanation_K[k].opponents}) {
      for (const int64_t n : *rows) {
        const double effect = result.effect_KN[k][n].item<double>();
        table.rows.push_back({result.train.dimensions[k], result.train.ids[static_cast<size_t>(n)], report::fixed(at_cell(result.train.label_NK, n, k), 1),
                              by_head ? report::fixed(effect, 4) : report::fixed(now + effect, 4) + (effect < 0 ? " (falls)" : " (rises)")});
      }
    }
  }
  return (by_head ? "labels whose gradients at the trained head pull with (positive) or against (negative) the label of '"
                  : "labels that hold up (falls) or hold down (rises) the reward of '") + result.test.ids[static_cast<size_t>(result.explained_row)] + "':\n" +
         report::to_text(table);
}

}  // namespace

std::string whatif_table(const WhatIfResult& result, int64_t top) {
  std::string text = std::to_string(result.changed) + " labels changed; the head is refitted by ridge regression on the kept features\n" + dimension_table(result);
  if (result.changed > 0) text += "\n" + moved_table(result, top);
  if (result.explained_row >= 0) text += "\n" + explanation_table(result);
  return text;
}

std::string whatif_json(const WhatIfResult& result) {
  Json document{{"changed", result.changed}, {"dimensions", Json::object()}, {"results", Json::array()}};
  const at::Tensor change_TK = (result.after_TK - result.before_TK).abs();
  for (size_t k = 0; k < result.train.dimensions.size(); ++k) {
    const at::Tensor column_T = change_TK.select(1, static_cast<int64_t>(k));
    document["dimensions"][result.train.dimensions[k]] = {{"lambda", number(result.lambda_K[k])},
                                                          {"mean_change", number(column_T.mean().item<double>())},
                                                          {"largest_change", number(column_T.max().item<double>())},
                                                          {"spearman_before", number(result.spearman_before_K[k])},
                                                          {"spearman_after", number(result.spearman_after_K[k])}};
  }
  for (int64_t n = 0; n < result.before_TK.size(0); ++n) {
    Json before = Json::object(), after = Json::object();
    for (size_t k = 0; k < result.train.dimensions.size(); ++k) {
      before[result.train.dimensions[k]] = number(at_cell(result.before_TK, n, k));
      after[result.train.dimensions[k]] = number(at_cell(result.after_TK, n, k));
    }
    document["results"].push_back({{"id", result.test.ids[static_cast<size_t>(n)]}, {"before", before}, {"after", after}});
  }
  if (result.explained_row < 0) return document.dump(2);
  Json all = Json::object();
  for (size_t k = 0; k < result.explanation_K.size(); ++k) {
    const auto list = [&](const std::vector<int64_t>& rows) {
      Json items = Json::array();
      for (const int64_t n : rows) {
        items.push_back({{"id", result.train.ids[static_cast<size_t>(n)]}, {result.by == "head" ? "influence" : "effect_of_dropping", number(result.effect_KN[k][n].item<double>())}});
      }
      return items;
    };
    all[result.train.dimensions[k]] = {{"proponents", list(result.explanation_K[k].proponents)}, {"opponents", list(result.explanation_K[k].opponents)}};
  }
  document["explain"] = {{"by", result.by}, {"id", result.test.ids[static_cast<size_t>(result.explained_row)]}, {"dimensions", all}};
  return document.dump(2);
}

void write_whatif_csv(const std::filesystem::path& path, const WhatIfResult& result) {
  std::string text = "id,dimension,before,after\n";
  for (int64_t n = 0; n < result.before_TK.size(0); ++n) {
    for (size_t k = 0; k < result.train.dimensions.size(); ++k) {
      char numbers[64];
      std::snprintf(numbers, sizeof numbers, ",%.9g,%.9g\n", at_cell(result.before_TK, n, k), at_cell(result.after_TK, n, k));
      text += core::csv_cell(result.test.ids[static_cast<size_t>(n)]) + "," + core::csv_cell(result.train.dimensions[k]) + numbers;
    }
  }
  core::write_file_atomic(path, text);
}

}  // namespace mvrm::run
