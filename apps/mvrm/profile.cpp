// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <iostream>
#include <mvrm/run/process.h>
#include <mvrm/run/profile_run.h>

namespace mvrm::app {

int profile(const Arguments& arguments) {
  CLI::App app("One forward pass over a data set; writes residuals, predictions and self-influence per dimension.");
  run::ProfileRunOptions options;
  SamplingOptions sampling;
  double alpha = 0.5;
  app.add_option("--model", options.model_dir, "model directory")->required();
  app.add_option("--data", options.data_file, "data file (.json, .jsonl)")->required();
  app.add_option("--out", options.out_dir, "profile directory; a partial profile there is continued")->required();
  app.add_flag("--features", options.keep_features, "keep the pooled features too");
  app.add_option("--alpha", alpha, "percentage at which the overlap with High-Loss is reported")->capture_default_str();
  add_sampling_options(app, sampling);
  app.footer("Example: mvrm profile --model runs/baseline/model --data train.jsonl --out runs/profile");
  if (!parse(app, arguments)) return 0;

  options.data.sampling = sampling.sampling;
  options.data.max_frames = sampling.max_frames;
  options.data.max_bad_samples = sampling.max_bad_samples;
  options.dtype = sampling.dtype;
  const core::Context context = run::make_context({.workers = sampling.workers});
  const auto comm = dist::make_single();
  std::cout << run::profile_table(run::profile_run(options, *comm, context), alpha);
  return 0;
}

}  // namespace mvrm::app
