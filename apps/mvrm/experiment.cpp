// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <algorithm>
#include <iostream>
#include <mvrm/dist/launcher.h>
#include <mvrm/experiment/suite.h>
#include <mvrm/run/process.h>
#include <nlohmann/json.hpp>

namespace mvrm::app {

int experiment(const Arguments& arguments) {
  CLI::App app("Makes a table or figure of the paper on any data set, with intervals beside every number.");
  experiment::ExperimentOptions options;
  std::vector<std::filesystem::path> files;
  std::vector<std::string> overrides;
  int64_t seeds = 0, processes = 1;
  bool quick = false, json = false, quiet = false;
  std::string suites;
  for (const auto& suite : experiment::suites()) suites += "\n  " + suite.name + std::string(14 - suite.name.size(), ' ') + suite.title;
  options.jobs = 0;
  app.add_option("suite", options.suite, "which table; all = every one of them")->required();
  app.add_option("--config", files, "YAML file; several are merged left to right (default: configs/demo/experiment.yaml, on rendered clips)");
  app.add_option("--set", overrides, "key.path=value, e.g. --set experiment.alpha=1");
  app.add_option("--out", options.out_dir, "folder for data, runs and tables")->capture_default_str();
  app.add_option("--seeds", seeds, "repetitions (0: as configured)")->check(CLI::Range(0, 1000))->capture_default_str();
  app.add_option("--jobs", options.jobs, "runs at a time (0: one a core on a CPU, else one)")->check(CLI::Range(0, 1024))->capture_default_str();
  app.add_option("--nproc-per-node", processes, "work on each run with this many processes")->check(CLI::Range(1, 1024))->capture_default_str();
  app.add_flag("--quick", quick, "two seeds, fewer clips and steps: whether everything runs, not what is true");
  app.add_flag("--json", json, "print the tables as one JSON document");
  app.add_flag("--quiet", quiet, "warnings and errors only");
  app.footer("Suites:" + suites + "\n\nExample: mvrm experiment main --out runs/experiment --seeds 5");
  if (!parse(app, arguments)) return 0;

  if (files.empty()) files.push_back(run::find_shipped("configs/demo/experiment.yaml"));
  experiment::ExperimentConfig config = experiment::load_experiment_config(files, overrides);
  if (quick) experiment::make_quick(config);
  if (seeds > 0) config.experiment.seeds = seeds;
  const dist::WorldConfig world = dist::world_from_environment();
  if (processes > 1 && world.size == 1) return dist::launch_local(static_cast<int>(processes), arguments);
  dist::WorldConfig timed = world;
  timed.timeout_seconds = config.training.training.dist.timeout_s;
  const core::Context context = run::make_context({.seed = config.experiment.seed, .workers = "auto", .local_ranks = dist::local_world_size(),
                                                   .rank = world.rank, .quiet = quiet});
  const auto comm = dist::connect(timed);
  if (options.jobs == 0) options.jobs = comm->size() > 1 || context.device != "cpu" ? 1 : context.threads;
  const auto results = experiment::run_experiment(config, options, *comm, context);
  if (!comm->is_main()) return 0;
  if (json) {
    nlohmann::ordered_json document = nlohmann::ordered_json::array();
    for (const auto& result : results) document.push_back(experiment::to_json(result, config.experiment.seeds));
    std::cout << document.dump(2) << "\n";
  } else {
    std::cout << report::to_markdown(experiment::to_document(results, config));
  }
  return 0;
}

}  // namespace mvrm::app
