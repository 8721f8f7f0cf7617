// SPDX-License-Identifier: Apache-2.0
// What a plan does to the data, in numbers: how many samples and labels it takes, which labels they are, how far the weights spread.
#pragma once
#include <mvrm/refine/plan.h>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace mvrm::refine {

using LabelHistogram = std::map<std::string, int64_t>;  // "1".."4" (labels rounded) -> count

// "Selected" cells are those that caused a removal, not the other labels of a removed sample.
struct PlanSummary {
  std::string strategy;
  int64_t kept = 0, removed = 0;                       // samples
  int64_t removed_labels = 0, changed_labels = 0;      // labels with weight 0; labels that a correction replaced
  std::vector<double> alpha_percent_K;                 // as resolved; empty for strategies without alpha
  std::vector<double> threshold_K;                     // smallest selected risk; NaN when nothing was selected
  std::vector<int64_t> count_K;                        // selected labels per dimension
  std::vector<int64_t> cumulative_union;               // samples selected by the first 1..K dimensions
  LabelHistogram label_histogram_removed;              // every label with weight 0
  std::vector<LabelHistogram> label_histogram_K;       // selected labels of each dimension
  std::vector<double> mean_weight_K;                   // over labels; NaN without labels
  std::vector<double> weight_quantiles;                // over labels of kept samples, at kWeightQuantiles (linear between ranks)
  std::vector<std::string> not_estimated;              // dimensions with labels, but too few for the estimator: nothing is selected there
  double effective_share = 1;                          // (sum w)^2 / (n sum w^2) over all labels: what is left of the sample size
};
inline constexpr double kWeightQuantiles[] = {0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1};

// `selected_NK` uint8 and `risk_NK` say why; `label_NK` are the labels of the data (NaN = none).
PlanSummary summarise(const RefinementPlan& plan, const core::Tensor& label_NK, const core::Tensor& selected_NK, const core::Tensor& risk_NK);

// cli.md's shape of `mvrm refine --json`, with more fields.
nlohmann::json to_json(const PlanSummary& summary, const std::vector<std::string>& dimensions);

}  // namespace mvrm::refine
