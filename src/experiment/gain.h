// SPDX-License-Identifier: Apache-2.0
// A method against its baseline over paired seeds.
#pragma once
#include <cstdint>
#include <mvrm/eval/predictions.h>
#include <mvrm/experiment/suite.h>
#include <vector>

namespace mvrm::experiment {

double mean_of(const std::vector<double>& values);   // not empty
// Of the mean Spearman correlation; one element a seed.
Gain spearman_gain(const std::vector<const eval::Predictions*>& baseline, const std::vector<const eval::Predictions*>& method, int64_t resamples);
// Of a share of right answers. `difference`: method minus baseline for each question, one table a seed; `same_questions`: every seed was
// asked the same ones, in the same order.
Gain accuracy_gain(const std::vector<std::vector<double>>& difference, bool same_questions, int64_t resamples);
// Where there are no clips to resample: the seeds alone.
Gain seed_gain(const std::vector<double>& baseline, const std::vector<double>& method);

}  // namespace mvrm::experiment
