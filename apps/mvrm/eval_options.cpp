// SPDX-License-Identifier: Apache-2.0
#include "eval_options.h"

#include <mvrm/core/error.h>
#include <mvrm/run/devices.h>
#include <mvrm/run/process.h>

namespace mvrm::app {

void add_source_options(CLI::App& app, PredictionSource& source) {
  app.add_option("--predictions", source.predictions, "predictions file: {id, labels, scores} rows or VideoScore's result file");
  app.add_option("--model", source.model.model_dir, "model directory, with --data");
  app.add_option("--data", source.model.data_file, "data file that --model scores");
  app.add_option("--out", source.model.out, "write the predictions of --model to this file; samples that it holds already are not scored again");
  app.add_option("--format", source.format, "what --out holds: plain rows, or a result file that VideoScore's scripts read")
      ->check(CLI::IsMember({"plain", "videoscore"}))->capture_default_str();
  add_sampling_options(app, source.sampling);
}

bool has_predictions(const PredictionSource& source) {
  return !source.predictions.empty() || (!source.model.model_dir.empty() && !source.model.data_file.empty());
}

std::string name_of(const PredictionSource& source) {
  const auto& file = !source.predictions.empty() ? source.predictions : !source.model.out.empty() ? source.model.out : source.model.data_file;
  return file.string();
}

mvrm::eval::Predictions read_source(const PredictionSource& source, const std::string& command, mvrm::eval::RepeatedIds repeated) {
  if (!has_predictions(source)) {
    throw core::ConfigError("mvrm " + command + ": give --predictions, or --model and --data; see 'mvrm " + command + " --help'");
  }
  if (!source.predictions.empty()) {
    if (!source.model.model_dir.empty()) throw core::ConfigError("mvrm " + command + ": give either --predictions or --model, not both");
    if (!source.model.out.empty()) throw core::ConfigError("mvrm " + command + ": --out keeps the predictions of --model; with --predictions there is nothing to write");
    return mvrm::eval::read_predictions(source.predictions, repeated);
  }
  require_place(source.model.out, "--out", {source.model.data_file});
  run::EvalRunOptions options = source.model;
  options.data = reading_of(source.sampling);
  options.dtype = source.sampling.dtype;
  options.format = run::result_format_from_name(source.format);
  core::Context context = run::make_context({.workers = source.sampling.workers});
  const auto comm = run::join_ranks({}, run::gpu_count(context.log), context);
  return run::eval_run(options, *comm, context);
}

void add_result_options(CLI::App& app, ResultOptions& options, const std::string& measure) {
  app.add_option("--resamples", options.resamples, "bootstrap resamples")->check(CLI::Range(0, 10000000))->capture_default_str();
  app.add_option("--fail-under", options.fail_under, "exit with status 8 when " + measure + " is lower")->always_capture_default(false);
  app.add_flag("--json", options.json, "print JSON instead of a table");
}

int64_t bootstrap_threads(const PredictionSource& source) { return run::make_context({.workers = source.sampling.workers, .quiet = true}).threads; }

int gate(const ResultOptions& options, double measured) {
  return options.fail_under > -2 && !(measured >= options.fail_under) ? static_cast<int>(core::ExitStatus::gate_not_met) : 0;
}

}  // namespace mvrm::app
