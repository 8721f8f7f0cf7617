// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <iostream>
#include <mvrm/core/error.h>
#include <mvrm/run/refine_run.h>

namespace mvrm::app {

namespace {

config::ScalarOrMap parse_alpha(const std::vector<std::string>& values) {
  config::ScalarOrMap alpha;
  for (const auto& value : values) {
    const auto equals = value.rfind('=');
    const std::string number = equals == std::string::npos ? value : value.substr(equals + 1);
    size_t used = 0;
    double percent = 0;
    try {
      percent = std::stod(number, &used);
    } catch (const std::exception&) {
    }
    if (used == 0 || used != number.size()) throw core::ConfigError("--alpha: '" + value + "' is not a percentage or 'dimension=percentage'");
    if (equals == std::string::npos) alpha.scalar = percent;
    else alpha.map[value.substr(0, equals)] = percent;
  }
  return alpha;
}

}  // namespace

int refine(const Arguments& arguments) {
  CLI::App app("Turns a profile into a refinement plan (plan.jsonl), or lists suspect labels.");
  run::RefineRunOptions options;
  std::vector<std::string> alpha{"0.5"};
  int64_t suspects = 0;
  bool json = false;
  std::string strategies = "one of";
  for (const auto& entry : mvrm::refine::strategies()) strategies += std::string("\n  ") + entry.name + ": " + entry.help;
  app.add_option("--profile", options.profile_dir, "profile directory")->required();
  auto* strategy = app.add_option("--strategy", options.refine.strategy, strategies);
  app.add_option("--alpha", alpha, "percent of labels per dimension: a number, or 'dimension=number' for each")->capture_default_str();
  app.add_option("--tau", options.refine.tau, "temperature of reweighting")->capture_default_str();
  app.add_option("--budget", options.refine.budget, "alpha, or match_union: remove as many samples as ddp would")->capture_default_str();
  app.add_option("--seed", options.seed, "seed of the random strategy")->capture_default_str();
  auto* out = app.add_option("--out", options.plan_file, "plan file to write");
  app.add_option("--list-suspects", suspects, "print the N riskiest labels instead of writing a plan")->check(CLI::PositiveNumber);
  app.add_flag("--json", json, "print the summary as JSON");
  app.footer("Example: mvrm refine --profile runs/profile --strategy ddp --alpha 0.5 --out plan.jsonl");
  if (!parse(app, arguments)) return 0;

  const influence::Profile profile = influence::read_profile(options.profile_dir);
  if (suspects > 0) {
    std::cout << run::suspects_table(profile, suspects);
    return 0;
  }
  if (strategy->count() == 0 || out->count() == 0) {
    throw core::ConfigError("mvrm refine: give --strategy and --out, or --list-suspects N; see 'mvrm refine --help'");
  }
  options.refine.alpha = parse_alpha(alpha);
  const mvrm::refine::PlanSummary summary = run::refine_run(options);
  const auto document = mvrm::refine::to_json(summary, profile.dimensions);
  if (json) {
    std::cout << document.dump(2) << "\n";
  } else {
    std::cout << run::summary_table(summary, profile.dimensions);
  }
  return 0;
}

}  // namespace mvrm::app
