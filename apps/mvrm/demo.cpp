// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <iostream>
#include <mvrm/experiment/demo.h>
#include <mvrm/run/process.h>

namespace mvrm::app {

int demo(const Arguments& arguments) {
  CLI::App app("Renders clips, plants label noise, trains, profiles, finds the noise, refines, trains again, and reports what it gained.");
  experiment::DemoOptions options;
  app.add_option("--out", options.out_dir, "folder for data, runs and the report")->capture_default_str();
  app.add_flag("--quick", options.quick, "fewer clips: about a minute instead of a few");
  app.add_option("--seed", options.seed, "first seed")->check(natural())->capture_default_str();
  app.add_option("--seeds", options.seeds, "repetitions; paired intervals need at least 2")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--videos", options.videos, "training clips (0: the default of the mode)")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--noise", options.noise, "share of labels corrupted, per dimension")->check(CLI::Range(0.0, 0.5))->capture_default_str();
  app.add_option("--alpha", options.alpha_percent, "percent of labels that the pruning plans select, per dimension")->check(CLI::Range(0.01, 50.0))->capture_default_str();
  app.add_option("--base", options.base_model, "model directory to fine-tune (default: the one that ships with mvrm)");
  app.footer("Example: mvrm demo --quick --out demo_out");
  if (!parse(app, arguments)) return 0;

  const auto results = experiment::demo(options, run::make_context({.seed = options.seed}));
  std::cout << report::to_markdown(experiment::demo_report(results));
  return 0;
}

}  // namespace mvrm::app
