// SPDX-License-Identifier: Apache-2.0
// What is trained on: the samples that the plan keeps, with their weights, and a way to get batches of them. The loop knows no data set.
#pragma once
#include <functional>
#include <mvrm/data/dataset.h>
#include <mvrm/data/batch.h>
#include <mvrm/model/reward_model.h>
#include <mvrm/refine/plan.h>
#include <string>
#include <vector>

namespace mvrm::train {

// Bad samples fall out: batch row b is sample rows[b]. No rows: nothing of it can be used, and the batch is empty.
struct LoadedBatch {
  std::vector<int64_t> rows;
  data::Batch batch;
};

struct Samples {
  std::vector<std::string> ids;
  core::Tensor weight_NK;                                                  // float64, rows as `ids`
  std::string hash;                                                        // of the data behind them
  std::function<LoadedBatch(const std::vector<int64_t>& samples)> load;    // thread-safe
  std::function<void(const std::vector<int64_t>& samples)> prefetch;       // will be asked for in this order
  std::function<double(int64_t sample)> cost = {};                         // operations of a forward pass, about; none: all the same
};

// The rows of `ids` that the plan keeps, in the order of `ids`, and their weights. Throws DataError when a sample has no row in the plan,
// the dimensions differ, or a weight is negative or not finite; `source` says where the ids come from.
struct KeptRows {
  std::vector<int64_t> index;
  core::Tensor weight_NK;
  core::Tensor label_NK;                                                   // float32, NaN = the data's label; undefined = all of them
};
KeptRows kept_rows(const refine::RefinementPlan& plan, const std::vector<std::string>& ids, const std::vector<std::string>& dimensions,
                   const std::string& source);

// `dataset` must outlive the result.
Samples dataset_samples(data::Dataset& dataset, const refine::RefinementPlan& plan, const model::ModelConfig& config);

}  // namespace mvrm::train
