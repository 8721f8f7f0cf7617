// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <iostream>
#include <mvrm/run/process.h>
#include <mvrm/synth/synth.h>

namespace mvrm::app {

int synth(const Arguments& arguments) {
  CLI::App app("Renders mp4 clips whose quality is known in every dimension, with labels of which a share can be corrupted.");
  mvrm::synth::SynthConfig config;
  std::filesystem::path out;
  std::string kind = "uniform_other";
  app.add_option("--out", out, "folder to write train.jsonl, test.jsonl, truth.jsonl and videos/ to")->required();
  app.add_option("--videos", config.videos, "training clips")->required()->check(CLI::Range(1, 10000000));
  app.add_option("--test-videos", config.test_videos, "clean test clips (-1: a quarter of --videos)")->check(CLI::Range(-1, 10000000))->capture_default_str();
  app.add_option("--noise", config.noise, "share of training labels corrupted, per dimension")->check(share())->capture_default_str();
  app.add_option("--noise-kind", kind, mvrm::refine::noise_kind_names())->capture_default_str();
  app.add_option("--vary", config.vary, "dimensions whose quality varies; the others look like a real video (default: all five)");
  app.add_option("--colours", config.colours, "colours that a prompt can name")->check(CLI::Range(2, 3))->capture_default_str();
  app.add_option("--seed", config.seed, "seed of clips and noise")->check(natural())->capture_default_str();
  app.footer("Example: mvrm synth --out clips --videos 200 --noise 0.1");
  if (!parse(app, arguments)) return 0;

  config.noise_kind = mvrm::refine::noise_kind_from_name(kind);
  mvrm::synth::write_dataset(out, config, run::make_context({.seed = config.seed}));
  std::cout << "wrote " << (out / "train.jsonl").string() << ", " << (out / "test.jsonl").string() << " and " << (out / "truth.jsonl").string() << "\n";
  return 0;
}

}  // namespace mvrm::app
