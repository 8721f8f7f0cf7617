// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <iostream>
#include <mvrm/core/error.h>
#include <mvrm/run/process.h>
#include <mvrm/run/score_run.h>

namespace mvrm::app {

namespace {

int eval_spearman(const Arguments& arguments) {
  CLI::App app("Spearman's rank correlation per dimension with bootstrap intervals.");
  run::ScoreRunOptions options;
  SamplingOptions sampling;
  std::filesystem::path predictions_file, out;
  int64_t resamples = 1000;
  double fail_under = -2;
  bool json = false;
  auto* predictions = app.add_option("--predictions", predictions_file, "predictions file: {id, labels, scores} rows or VideoScore's result file");
  auto* model = app.add_option("--model", options.model_dir, "model directory, with --data");
  auto* data = app.add_option("--data", options.data_file, "labelled data file");
  app.add_option("--out", out, "write the predictions of --model to this file");
  app.add_option("--resamples", resamples, "bootstrap resamples")->check(CLI::Range(0, 10000000))->capture_default_str();
  auto* gate = app.add_option("--fail-under", fail_under, "exit with status 8 when the mean (-1..1) is lower");
  app.add_flag("--json", json, "print JSON instead of a table");
  add_sampling_options(app, sampling);
  app.footer("Example: mvrm eval spearman --model runs/ddp/model --data test.jsonl");
  if (!parse(app, arguments)) return 0;

  mvrm::eval::Predictions rows;
  if (predictions->count() > 0) {
    rows = mvrm::eval::read_predictions(predictions_file);
  } else if (model->count() > 0 && data->count() > 0) {
    options.data.sampling = sampling.sampling;
    options.data.max_frames = sampling.max_frames;
    options.data.max_bad_samples = sampling.max_bad_samples;
    options.dtype = sampling.dtype;
    const auto comm = dist::make_single();
    rows = run::score_run(options, *comm, run::make_context({.workers = sampling.workers})).predictions;
    if (!out.empty()) mvrm::eval::write_predictions(out, rows);
  } else {
    throw core::ConfigError("mvrm eval spearman: give --predictions, or --model and --data; see 'mvrm eval spearman --help'");
  }
  const mvrm::eval::EvalResult result = mvrm::eval::evaluate_spearman(rows, resamples);
  std::cout << (json ? mvrm::eval::to_json_text(result) + "\n" : run::spearman_table(result));
  return gate->count() > 0 && !(result.mean >= fail_under) ? static_cast<int>(core::ExitStatus::gate_not_met) : 0;
}

}  // namespace

int eval(const Arguments& arguments) {
  const std::string what = arguments.size() > 1 ? arguments[1] : "--help";
  if (what == "--help" || what == "-h") {
    std::cout << "usage: mvrm eval spearman [OPTIONS]\n\n  spearman      Spearman per dimension over predictions or a model (alias: videofeedback)\n\n"
                 "Example: mvrm eval spearman --predictions predictions.jsonl\n";
    return 0;
  }
  if (what != "spearman" && what != "videofeedback") {
    throw core::ConfigError("mvrm eval: unknown evaluation '" + what + "'; known: spearman, videofeedback");
  }
  Arguments rest(arguments.begin() + 1, arguments.end());
  rest.front() = "eval " + what;
  return eval_spearman(rest);
}

}  // namespace mvrm::app
