// SPDX-License-Identifier: Apache-2.0
// Options that the evaluations share: where predictions come from, and how a result is shown and judged.
#pragma once
#include <mvrm/run/eval_run.h>

#include "commands.h"

namespace mvrm::app {

// Either --predictions FILE, or --model DIR with --data FILE.
struct PredictionSource {
  std::filesystem::path predictions;
  run::EvalRunOptions model;
  SamplingOptions sampling;
  std::string format = "plain";
};
void add_source_options(CLI::App& app, PredictionSource& source);
bool has_predictions(const PredictionSource& source);  // one of the two is complete
mvrm::eval::Predictions read_source(const PredictionSource& source, const std::string& command, mvrm::eval::RepeatedIds repeated);
std::string name_of(const PredictionSource& source);  // for messages

struct ResultOptions {
  int64_t resamples = 1000;
  double fail_under = -2;  // below every measure: no gate
  bool json = false;
};
void add_result_options(CLI::App& app, ResultOptions& options, const std::string& measure);
int64_t bootstrap_threads(const PredictionSource& source);
int gate(const ResultOptions& options, double measured);  // the exit status

int eval_spearman(const Arguments& arguments);
int eval_genai_bench(const Arguments& arguments);
int eval_vbench(const Arguments& arguments);
int eval_verdicts(const Arguments& arguments);
int eval_compare(const Arguments& arguments);

}  // namespace mvrm::app
