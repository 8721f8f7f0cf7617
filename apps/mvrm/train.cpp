// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <iostream>
#include <mvrm/core/error.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/dist/launcher.h>
#include <mvrm/run/devices.h>
#include <mvrm/run/process.h>
#include <mvrm/run/run_lock.h>
#include <mvrm/run/score_run.h>
#include <mvrm/run/train_run.h>

namespace mvrm::app {

int train(const Arguments& arguments) {
  CLI::App app("Trains a reward model and writes a run directory.");
  std::vector<std::filesystem::path> files;
  std::vector<std::string> overrides;
  std::string resume = "auto";
  int64_t processes = 0;
  bool quiet = false, collect_influence = false;
  app.add_option("--config", files, "YAML file; several are merged left to right")->required();
  app.add_option("--set", overrides, "key.path=value, e.g. --set optimizer.lr=2e-5");
  app.add_option("--resume", resume, "auto, never (a finished run in run.dir is replaced), or the path of a checkpoint")->capture_default_str();
  app.add_option("--nproc-per-node", processes, "processes on this machine; 0 = one per GPU, one without GPUs")->check(CLI::Range(0, 1024))->capture_default_str();
  app.add_flag("--collect-influence", collect_influence, "train.collect_influence: write a profile from the training forward, without a pass more");
  app.add_flag("--quiet", quiet, "warnings and errors only");
  app.footer("Example: mvrm train --config configs/ddp.yaml --set train.epochs=2");
  if (!parse(app, arguments)) return 0;

  if (collect_influence) overrides.emplace_back("train.collect_influence=true");
  const run::RunConfig config = run::load_run_config(files, overrides);
  const dist::WorldConfig world = dist::world_from_environment();
  core::Context context = run::make_context({.seed = config.run.seed, .workers = config.data.workers,
                                             .local_ranks = dist::local_world_size(), .rank = world.rank, .quiet = quiet,
                                             .deterministic = config.run.deterministic});
  const run::Placement placement = run::place(processes, world, context.log);
  if (placement.processes > 1) {
    run::require_unlocked(config.run.dir, "run.dir");
    Arguments child{"train"};
    for (const auto& file : files) child.insert(child.end(), {"--config", file.string()});
    for (const auto& item : overrides) child.insert(child.end(), {"--set", item});
    child.insert(child.end(), {"--resume", resume});
    if (quiet) child.emplace_back("--quiet");
    return dist::launch_local(static_cast<int>(placement.processes), child);
  }
  dist::WorldConfig timed = world;
  timed.timeout_seconds = config.training.dist.timeout_s;
  const auto comm = run::join_ranks(timed, placement.gpus, context);
  const run::TrainOutcome outcome = run::train_run(config, resume, *comm, context);
  if (outcome.stopped_by_signal) return static_cast<int>(core::ExitStatus::stopped);
  if (outcome.evaluation && comm->is_main()) std::cout << run::spearman_table(*outcome.evaluation);
  return 0;
}

}  // namespace mvrm::app
