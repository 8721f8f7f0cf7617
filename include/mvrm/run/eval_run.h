// SPDX-License-Identifier: Apache-2.0
// mvrm eval: rewards of a model for a data file, resumable, and the tables that evaluations print.
#pragma once
#include <mvrm/eval/compare.h>
#include <mvrm/eval/split.h>
#include <mvrm/eval/vbench.h>
#include <mvrm/eval/verdicts.h>
#include <mvrm/run/score_run.h>

namespace mvrm::run {

enum class ResultFormat { plain, videoscore };
ResultFormat result_format_from_name(const std::string& name);  // "plain", "videoscore"

struct EvalRunOptions {
  std::filesystem::path model_dir, data_file;
  DataSection data;                        // sampling, max_frames, max_bad_samples
  std::string dtype = "f32";
  std::filesystem::path out;               // empty: nothing is kept
  ResultFormat format = ResultFormat::plain;
};
// Scores the samples of the data file that `out` does not hold yet and adds each as soon as it is whole; at the end `out` is written in
// the order of the data file. With the videoscore format the growing file is `<out>.rows.jsonl`, at full precision, and stays.
eval::Predictions eval_run(const EvalRunOptions& options, dist::Communicator& comm, const core::Context& context);

// Spearman of the whole, and of the two parts of a split.
struct SplitEvaluation {
  eval::EvalResult all, validation, test;
};
std::string to_json_text(const SplitEvaluation& evaluation);

// Appends {model: {"spearman_list", "p_value_list"}} to the array in `path` as VideoScore's script does, the model's name taken from
// that of the result file.
void append_spearman_record(const std::filesystem::path& path, const std::filesystem::path& result_file, const eval::EvalResult& result);

// Tables: correlations and accuracies x100.
std::string spearman_table(const SplitEvaluation& evaluation);
std::string pairwise_table(const eval::PairwiseResult& result);
std::string vbench_table(const eval::VbenchResult& result);
std::string verdicts_table(const eval::VerdictResult& result);
std::string compare_table(const eval::CompareResult& result);

}  // namespace mvrm::run
