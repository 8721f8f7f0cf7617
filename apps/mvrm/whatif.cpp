// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <iostream>
#include <mvrm/core/error.h>
#include <mvrm/run/process.h>
#include <mvrm/run/whatif_run.h>

namespace mvrm::app {

int whatif(const Arguments& arguments) {
  CLI::App app("What the head would score if labels were dropped or changed, exact, from the features of a profile.");
  run::WhatIfRunOptions options;
  std::filesystem::path csv;
  double lambda = 0;
  bool json = false;
  app.add_option("--profile", options.profile_dir, "profile directory with features ('mvrm profile --features')")->required();
  app.add_option("--test", options.test_dir, "profile of other data by the same model, with features: its rewards are compared");
  auto* drop = app.add_option("--drop", options.drop, "samples (ID), single labels (ID:DIMENSION), or @FILE with one a line");
  auto* set = app.add_option("--set", options.set, "ID:DIMENSION=LABEL: another label, or one where none was; or @FILE");
  auto* explain = app.add_option("--explain", options.explain, "sample whose reward is traced to the labels that hold it up or down");
  app.add_option("--by", options.by, "what ties labels to it: ridge (the refitted head, exact) or head (products of gradients at the trained head, as TracIn)")
      ->check(CLI::IsMember({"ridge", "head"}))->capture_default_str();
  app.add_option("--top", options.top, "rows of each list")->check(CLI::Range(1, 1000000))->capture_default_str();
  auto* penalty = app.add_option("--lambda", lambda, "ridge penalty (chosen by exact leave-one-out error when absent)")->check(positive());
  app.add_option("--csv", csv, "write every reward before and after to this file");
  app.add_flag("--json", json, "print JSON instead of tables");
  app.footer("Example: mvrm whatif --profile runs/profile --drop 0017 '0042:visual quality' --test runs/profile_test");
  if (!parse(app, arguments)) return 0;
  if (drop->count() + set->count() + explain->count() == 0) throw core::ConfigError("mvrm whatif: give --drop, --set or --explain; see 'mvrm whatif --help'");
  if (penalty->count() > 0) options.lambda = lambda;

  const run::WhatIfResult result = run::whatif_run(options, run::make_context({}));
  if (!csv.empty()) run::write_whatif_csv(csv, result);
  std::cout << (json ? run::whatif_json(result) + "\n" : run::whatif_table(result, options.top));
  return 0;
}

}  // namespace mvrm::app
