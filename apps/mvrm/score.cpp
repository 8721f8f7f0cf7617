// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <iostream>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/dist/launcher.h>
#include <mvrm/run/devices.h>
#include <mvrm/run/process.h>
#include <mvrm/run/score_run.h>

namespace mvrm::app {

int score(const Arguments& arguments) {
  CLI::App app("Scores videos in every dimension of the model.");
  run::ScoreRunOptions options;
  SamplingOptions sampling;
  std::filesystem::path out, features;
  bool json = false;
  int64_t processes = 0;
  app.add_option("--model", options.model_dir, "model directory")->required();
  auto* video = app.add_option("--video", options.videos, "clips");
  auto* frames = app.add_option("--frames", options.frame_folders, "folders of .jpg or .png frames");
  auto* data = app.add_option("--data", options.data_file, "data file; rows need no labels");
  auto* prompt = app.add_option("--prompt", options.prompt, "text prompt of the clips");
  app.add_flag("--json", json, "print JSON instead of a table");
  app.add_option("--out", out, "write results to this file: .json as --json prints them, any other ending JSON Lines of predictions");
  app.add_option("--dump-features", features, "write pooled features, predictions and input ids (safetensors)");
  app.add_option("--nproc-per-node", processes, "processes on this machine; 0 = one per GPU, one without GPUs")->check(CLI::Range(0, 1024))->capture_default_str();
  add_sampling_options(app, sampling);
  app.footer("Example: mvrm score --model DIR --video clip.mp4 --prompt 'a dog plays with a ball' --json");
  if (!parse(app, arguments)) return 0;

  const bool files = video->count() + frames->count() > 0;
  if (files == (data->count() > 0)) throw core::ConfigError("mvrm score: give either --data, or --video / --frames; see 'mvrm score --help'");
  if (files && prompt->count() == 0) throw core::ConfigError("mvrm score: --video and --frames need --prompt: the model scores a video for a text");
  std::vector<std::filesystem::path> inputs = options.videos;
  inputs.push_back(options.data_file);
  require_place(out, "--out", inputs);
  if (!out.empty()) inputs.push_back(out);
  require_place(features, "--dump-features", inputs);
  options.data = reading_of(sampling);
  options.dtype = sampling.dtype;
  options.keep_features = !features.empty();
  const dist::WorldConfig world = dist::world_from_environment();
  core::Context context = run::make_context({.workers = sampling.workers, .local_ranks = dist::local_world_size(), .rank = world.rank});
  const run::Placement placement = run::place(processes, world, context.log);
  if (placement.processes > 1) return dist::launch_local(static_cast<int>(placement.processes), arguments);
  const auto comm = run::join_ranks(world, placement.gpus, context);
  const run::ScoreResult result = run::score_run(options, *comm, context);
  if (!comm->is_main()) return 0;
  if (out.extension() == ".json") core::write_file_atomic(out, run::score_json(result) + "\n");
  else if (!out.empty()) mvrm::eval::write_predictions(out, result.predictions);
  if (!features.empty()) run::write_features(features, result.predictions);
  std::cout << (json ? run::score_json(result) + "\n" : run::score_table(result));
  return 0;
}

}  // namespace mvrm::app
