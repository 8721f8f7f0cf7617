// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <iostream>
#include <mvrm/core/error.h>
#include <mvrm/run/explain_run.h>
#include <mvrm/run/process.h>

namespace mvrm::app {

int explain(const Arguments& arguments) {
  CLI::App app("Which frames and regions of a clip carry its rewards and their risk: leaves every frame out, hides every region, scores again.");
  run::ExplainRunOptions options;
  SamplingOptions sampling;
  std::string fill = "median", regions = "hidden";
  bool json = false;
  app.add_option("--model", options.model_dir, "model directory")->required();
  app.add_option("--data", options.data_file, "data file (.json, .jsonl)")->required();
  app.add_option("--out", options.out_dir, "folder for frames.csv, regions.csv and a curve and a picture a sample")->required();
  auto* ids = app.add_option("--id", options.ids, "samples to look at");
  auto* profile = app.add_option("--profile", options.profile_dir, "or: the riskiest samples of this profile of the data file");
  app.add_option("--top-percent", options.top_percent, "with --profile: percent of labels per dimension")->check(CLI::Range(1e-9, 100.0))->capture_default_str();
  app.add_option("--grid", options.localise.grid, "regions a side of each frame, 0 = none; costs frames x grid^2 forward passes")
      ->check(CLI::Range(0, 32))->capture_default_str();
  app.add_option("--fill", fill, "what hides a region: median (over the frames) or mean (colour of the frame)")
      ->check(CLI::IsMember({"median", "mean"}))->capture_default_str();
  app.add_option("--regions", regions, "what a region is judged by: hidden (the clip without it) or alone (its own reward, enlarged, as a clip of one frame)")
      ->check(CLI::IsMember({"hidden", "alone"}))->capture_default_str();
  app.add_flag("--json", json, "print JSON instead of a table");
  add_sampling_options(app, sampling);
  app.footer("Example: mvrm explain --model runs/baseline/model --data train.jsonl --id 0017 --out runs/explain");
  if (!parse(app, arguments)) return 0;
  if (ids->count() + profile->count() == 0) throw core::ConfigError("mvrm explain: give --id or --profile; see 'mvrm explain --help'");
  options.localise.fill = fill == "mean" ? influence::Fill::mean : influence::Fill::median;
  options.localise.regions = regions == "alone" ? influence::Regions::alone : influence::Regions::hidden;
  options.data = reading_of(sampling);
  options.localise.batch = sampling.batch;
  options.dtype = sampling.dtype;

  const run::ExplainResult result = run::explain_run(options, run::make_context({.workers = sampling.workers}));
  std::cout << (json ? run::explain_json(result) + "\n" : run::explain_table(result));
  return 0;
}

}  // namespace mvrm::app
