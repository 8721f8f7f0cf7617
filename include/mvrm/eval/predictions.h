// SPDX-License-Identifier: Apache-2.0
// Predictions beside labels: what every evaluation reads, whoever made them. A file format too (cli.md: predictions).
#pragma once
#include <mvrm/core/context.h>
#include <mvrm/core/tensor.h>
#include <mvrm/data/dataset.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/model/reward_model.h>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace mvrm::eval {

struct Predictions {
  std::vector<std::string> ids;
  std::vector<std::string> dimensions;
  core::Tensor reward_NK;                           // float32 from a model, float64 from a file; NaN = none
  core::Tensor label_NK;                            // the same, NaN = none
  core::Tensor feature_ND;                          // float32, only when asked for
  std::vector<std::vector<int64_t>> input_ids;      // of each row, only with features
  std::vector<std::vector<int64_t>> frame_indices;  // may be empty
  std::vector<int64_t> tokens;                      // may be empty
  std::vector<std::string> errors;                  // empty text = fine; may be empty
  std::vector<std::string> prompts;                 // may be empty
};

// Told of every row of `predictions` as soon as it is whole, never from two threads at once; on the rank that computed it.
using OnRow = std::function<void(const Predictions& predictions, int64_t row)>;

// Scores every sample, `batch` clips of equal shape in a pass, ranks take interleaved rows, every rank gets all. Bad samples: row of NaN and the error
// text.
Predictions predict(const model::RewardModel& model, data::Dataset& dataset, int64_t batch, dist::Communicator& comm,
                    const core::Context& context, bool keep_features = false, const OnRow& on_row = {});
// Labels of a data file in the order of `dimensions`, by name; float32 [N, K].
core::Tensor labels_of(const data::Manifest& manifest, const std::vector<std::string>& dimensions);

// JSON Lines of {"id", "labels", "scores"}, and "made_by" where it is given. Atomic.
void write_predictions(const std::filesystem::path& path, const Predictions& predictions, const std::string& made_by = {});
std::string prediction_line(const Predictions& predictions, int64_t row, const std::string& made_by = {});  // with its line feed

// VideoScore's scripts add to a result file that is there, so ids come again; they count every row. `refuse` throws for that too; `allow` is for
// ids that need not differ (VBench's without an aspect).
enum class RepeatedIds { as_videoscore, refuse, allow };
// Rows {"id", "labels", "scores"} or VideoScore's {"id", "text", "ref", "ans"}, where free text may stand as "response" in place of
// "ans" (integer_answers). A JSON array or JSON Lines. Throws DataError with file, row and cause.
Predictions read_predictions(const std::filesystem::path& path, RepeatedIds repeated = RepeatedIds::as_videoscore);

// What VideoScore's scripts read: an array of {"id", "text", "ref", "ans"}; rewards rounded to 3 decimals, -1 for what is missing.
void write_videoscore_results(const std::filesystem::path& path, const Predictions& predictions);
double round_like_videoscore(double reward);  // to 3 decimals, half to even on the exact binary value

}  // namespace mvrm::eval
