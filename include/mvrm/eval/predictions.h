// SPDX-License-Identifier: Apache-2.0
// Predictions beside labels: what every evaluation reads, whoever made them. A file format too (cli.md: predictions).
#pragma once
#include <mvrm/core/context.h>
#include <mvrm/core/tensor.h>
#include <mvrm/data/dataset.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/model/reward_model.h>
#include <filesystem>
#include <string>
#include <vector>

namespace mvrm::eval {

struct Predictions {
  std::vector<std::string> ids;
  std::vector<std::string> dimensions;
  core::Tensor reward_NK;                           // float32
  core::Tensor label_NK;                            // float32, NaN = none
  core::Tensor feature_ND;                          // float32, only when asked for
  std::vector<std::vector<int64_t>> frame_indices;  // may be empty
  std::vector<int64_t> tokens;                      // may be empty
  std::vector<std::string> errors;                  // empty text = fine; may be empty
};

// Scores every sample, batches of equal shape, ranks take interleaved rows, every rank gets all. Bad samples: row of NaN and the error
// text.
Predictions predict(const model::RewardModel& model, data::Dataset& dataset, int64_t batch, dist::Communicator& comm,
                    const core::Context& context, bool keep_features = false);

// JSON Lines of {"id", "labels", "scores"}; reads VideoScore's result rows {"id","text","ref","ans"} too. Throws DataError file:line.
void write_predictions(const std::filesystem::path& path, const Predictions& predictions);
Predictions read_predictions(const std::filesystem::path& path);

}  // namespace mvrm::eval
