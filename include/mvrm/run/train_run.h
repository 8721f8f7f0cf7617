// SPDX-License-Identifier: Apache-2.0
// mvrm train: from a configuration to a run directory, with the missing steps (baseline, profile, plan) done first.
#pragma once
#include <mvrm/core/context.h>
#include <mvrm/data/dataset.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/eval/rank_correlation.h>
#include <mvrm/refine/plan.h>
#include <mvrm/run/run_config.h>
#include <optional>
#include <string>

namespace mvrm::run {

struct TrainOutcome {
  bool stopped_by_signal = false;
  int64_t steps = 0;
  std::optional<eval::EvalResult> evaluation;   // Spearman on eval.data or data.test, when one is given
};
enum class FinishedRun { keep, replace };
// resume: auto | never | path of a checkpoint. A finished run of the same inputs is not trained again under `auto`; one of other inputs is
// kept, which throws ConfigError before anything is written, or replaced.
TrainOutcome train_run(const RunConfig& config, const std::string& resume, dist::Communicator& comm, const core::Context& context,
                       FinishedRun other_inputs = FinishedRun::keep);

// A data file with the processor of `model_dir`; labels in the order of the model's dimensions.
std::unique_ptr<data::Dataset> open_dataset(const DataSection& config, const std::filesystem::path& file,
                                            const std::filesystem::path& model_dir, const core::Context& context);

}  // namespace mvrm::run
