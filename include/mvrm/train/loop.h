// SPDX-License-Identifier: Apache-2.0
// The training loop: order of data, accumulation over micro-batches, one optimiser step, checkpoints, exact resume.
#pragma once
#include <filesystem>
#include <functional>
#include <mvrm/core/context.h>
#include <mvrm/data/dataset.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/model/reward_model.h>
#include <mvrm/refine/plan.h>
#include <mvrm/train/train_config.h>
#include <optional>
#include <string>

namespace mvrm::train {

// One sample as the forward pass saw it; valid during the call that hands it out.
struct SampleView {
  int64_t sample = 0;                            // number among the kept samples, in the order of the data set
  const double* reward_K = nullptr;              // K numbers
  double feature_sq_norm = 0;
};
struct TrainJob {
  TrainConfig config;
  std::filesystem::path run_dir;                 // metrics.jsonl, checkpoints/, model/
  std::filesystem::path processor_dir;           // tokenizer and processor files copied beside the weights
  std::string resume = "auto";                   // auto | never | path of a checkpoint
  // Called on every rank before the first step, once nothing refuses the job any more (a checkpoint of another one, say).
  std::function<void()> begin;
  // Called after an optimiser step at multiples of `evaluate_every` (0 = never) on every rank with the current model; result goes to metrics.jsonl.
  std::function<std::string(const model::RewardModel&)> evaluate;   // returns one JSON object as text
  int64_t evaluate_every = 0;
  // Called behind every optimiser step on every rank with all used samples of the step, as the forward pass before the step saw them.
  std::function<void(int64_t step, double lr, const std::vector<SampleView>& samples)> observe;
};
struct TrainResult {
  int64_t steps = 0;
  double last_loss = 0;
  bool stopped_by_signal = false;                // a checkpoint was written; the program exits with status 75
};
// Trains `model` in place. Loss = sum of weight * residual^2 over the global batch / (samples in it * K) (spec/influence.md section 2);
// NaN labels contribute nothing. Plan rows are found by id; a data sample without a row is an error. Writes run_dir/model at the end.
// Throws Error (numeric) after 3 steps in a row with a loss or gradient that isn't finite, naming the sample ids.
TrainResult train(model::RewardModel& model, data::Dataset& dataset, const refine::RefinementPlan& plan, const TrainJob& job,
                  dist::Communicator& comm, const core::Context& context);

// The evaluation of a trained model as a line of run_dir/metrics.jsonl, at the step of its last line; one that is there is replaced.
// `json`: one object as text. Throws Error (io).
void write_last_evaluation(const std::filesystem::path& run_dir, const std::string& json);

// Order of one epoch: ids sorted by a hash of (seed, epoch, id), so that removing a sample moves no other. Indices into `ids`.
std::vector<int64_t> epoch_order(const std::vector<std::string>& ids, uint64_t seed, int64_t epoch);

}  // namespace mvrm::train
