// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <iostream>
#include <mvrm/core/error.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/dist/launcher.h>
#include <mvrm/influence/estimator.h>
#include <mvrm/influence/matrix.h>
#include <mvrm/run/devices.h>
#include <mvrm/run/process.h>
#include <mvrm/run/profile_run.h>
#include <mvrm/run/run_lock.h>

namespace mvrm::app {

namespace {

std::pair<std::filesystem::path, double> parse_checkpoint(const std::string& text) {
  const auto equals = text.rfind('=');
  size_t used = 0;
  double learning_rate = 0;
  try {
    if (equals != std::string::npos) learning_rate = std::stod(text.substr(equals + 1), &used);
  } catch (const std::exception&) {
  }
  if (used == 0 || equals + 1 + used != text.size()) throw core::ConfigError("--checkpoint: '" + text + "' is not DIR=LEARNING_RATE");
  return {text.substr(0, equals), learning_rate};
}

// The same command for one of several ranks.
Arguments without_launch(const Arguments& arguments) {
  Arguments child;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--nproc-per-node") ++i;
    else if (!arguments[i].starts_with("--nproc-per-node=")) child.push_back(arguments[i]);
  }
  return child;
}

void add_estimator_options(CLI::App& app, run::ProfileRunOptions& options) {
  std::string estimators = "what self_influence holds; parameter space in brackets", spaces = "keep gradient products of the rewards, for row_sum:";
  for (const auto& entry : influence::estimators()) estimators += std::string("\n  ") + entry.name + " [" + entry.space + "]: " + entry.help;
  for (const auto& entry : influence::spaces()) spaces += std::string("\n  ") + entry.name + ": " + entry.help;
  app.add_option("--estimator", options.estimator, estimators)->capture_default_str();
  app.add_option("--space", options.space, spaces);
}

}  // namespace

int profile(const Arguments& arguments) {
  CLI::App app("One forward pass over a data set; writes residuals, predictions and self-influence per dimension.");
  run::ProfileRunOptions options;
  SamplingOptions sampling;
  std::vector<std::string> checkpoints;
  double alpha = 0.5;
  int64_t processes = 0;
  bool json = false, quiet = false, no_fit = false;
  auto* model = app.add_option("--model", options.model_dir, "model directory");
  auto* data = app.add_option("--data", options.data_file, "data file (.json, .jsonl)");
  app.add_option("--out", options.out_dir, "profile directory; a partial profile there is continued")->required();
  auto* from = app.add_option("--from", options.from_dir, "a finished profile: estimate again from it without a forward pass")->excludes(model);
  app.add_option("--labels", options.labels_file, "with --from: corrections.jsonl, labels to replace")->needs(from);
  app.add_option("--head", options.head_dir, "with --from: rewards by this model's head on the kept features")->needs(from);
  auto* features = app.add_option("--features", options.features, "keep the pooled features: f32 (default), bf16 or f16")
                       ->expected(0, 1)->check(CLI::IsMember({"", "f32", "bf16", "f16"}));
  app.add_flag("--no-fit", no_fit, "with features: leave the fit that 'mvrm whatif' answers from to its first question");
  add_estimator_options(app, options);
  app.add_option("--checkpoint", checkpoints, "PROFILE_DIR=LEARNING_RATE of a checkpoint, for estimator tracin; may be repeated");
  app.add_option("--alpha", alpha, "percentage at which the overlap with High-Loss is reported")->check(CLI::Range(1e-9, 100.0))->capture_default_str();
  app.add_option("--nproc-per-node", processes, "processes on this machine; 0 = one per GPU, one without GPUs")->check(CLI::Range(0, 1024))->capture_default_str();
  app.add_flag("--json", json, "print JSON instead of tables");
  app.add_flag("--quiet", quiet, "warnings and errors only");
  add_sampling_options(app, sampling);
  app.footer("Example: mvrm profile --model runs/baseline/model --data train.jsonl --out runs/profile --features bf16\n"
             "         mvrm profile --from runs/profile --estimator ridge_loo --out runs/profile_loo");
  if (!parse(app, arguments)) return 0;
  if (from->count() == 0 && (model->count() == 0 || data->count() == 0)) throw core::ConfigError("mvrm profile: give --model and --data, or --from; see 'mvrm profile --help'");
  if (features->count() > 0 && options.features.empty()) options.features = "f32";
  for (const auto& text : checkpoints) options.checkpoints.push_back(parse_checkpoint(text));
  options.data = reading_of(sampling);
  options.dtype = sampling.dtype;
  options.fit_head = !no_fit;

  const dist::WorldConfig world = dist::world_from_environment();
  core::Context context = run::make_context({.workers = sampling.workers, .local_ranks = dist::local_world_size(), .rank = world.rank, .quiet = quiet});
  const run::Placement placement = run::place(processes, world, context.log);
  if (placement.processes > 1) {
    run::require_unlocked(options.out_dir, "--out");
    return dist::launch_local(static_cast<int>(placement.processes), without_launch(arguments));
  }
  const auto comm = run::join_ranks(world, placement.gpus, context);
  const influence::Profile profile = run::profile_run(options, *comm, context);
  if (comm->is_main()) std::cout << (json ? run::profile_json(profile, alpha) + "\n" : run::profile_table(profile, alpha));
  return 0;
}

}  // namespace mvrm::app
