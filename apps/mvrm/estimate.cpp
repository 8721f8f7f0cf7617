// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <iostream>
#include <mvrm/run/estimate_run.h>

namespace mvrm::app {

int estimate(const Arguments& arguments) {
  CLI::App app("Memory, operations and time of a training run, before anyone rents a node.");
  run::EstimateOptions options;
  bool json = false;
  app.add_option("--model", options.model, "model directory, or mantis-8b: the architecture of VideoScore")->required();
  app.add_option("--gpus", options.gpus, "GPUs of all machines together")->check(CLI::Range(1, 65536))->capture_default_str();
  app.add_option("--gpu-memory", options.gpu_memory_gib, "memory of one GPU in GiB (H100: 79.6, H200: 139.8, B200: 178)")->required()->check(positive());
  app.add_option("--batch", options.batch, "samples per optimiser step")->check(CLI::Range(1, 1 << 24))->capture_default_str();
  app.add_option("--micro-batch", options.micro_batch, "samples that go through the model together")->check(CLI::Range(1, 4096))->capture_default_str();
  app.add_option("--frames", options.frames, "frames of a clip")->check(CLI::Range(1, 4096))->capture_default_str();
  app.add_option("--height", options.height, "of a frame behind the image processor, in pixels")->check(CLI::Range(1, 4096))->capture_default_str();
  app.add_option("--width", options.width, "of a frame behind the image processor, in pixels")->check(CLI::Range(1, 4096))->capture_default_str();
  app.add_option("--text-tokens", options.text_tokens, "tokens of a prompt without those of its frames")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  app.add_option("--dtype", options.dtype, "dtype of weights and activations")->check(CLI::IsMember({"bf16", "f32"}))->capture_default_str();
  app.add_option("--reshard", options.reshard, "dist.reshard")->check(CLI::IsMember({"auto", "keep", "free"}))->capture_default_str();
  app.add_option("--reduce", options.reduce, "dist.reduce")->check(CLI::IsMember({"auto", "step", "micro"}))->capture_default_str();
  app.add_option("--recompute", options.recompute, "train.recompute")->check(CLI::IsMember({"auto", "always", "never"}))->capture_default_str();
  app.add_option("--order", options.order, "dist.order")->check(CLI::IsMember({"auto", "ordered", "fast"}))->capture_default_str();
  app.add_option("--balance", options.balance, "balance.strategy; pcgrad keeps a gradient for each dimension")
      ->check(CLI::IsMember({"equal", "uncertainty_weighting", "rlw", "pcgrad"}))->capture_default_str();
  app.add_option("--samples", options.samples, "samples of the data set")->check(CLI::Range(1, 1 << 30))->capture_default_str();
  app.add_option("--epochs", options.epochs, "passes over it")->check(CLI::Range(1, 100000))->capture_default_str();
  app.add_option("--gpu", options.gpu, "kind of GPU, for its peak")->check(CLI::IsMember(run::known_gpus()));
  app.add_option("--peak-tflops", options.peak_tflops, "peak of one GPU instead, dense bf16, 10^12 operations a second")->check(positive());
  app.add_option("--mfu", options.utilisation, "share of the peak that training reaches")->check(CLI::Range(0.001, 1.0))->capture_default_str();
  app.add_option("--bandwidth", options.bandwidth_gb, "between GPUs, 10^9 bytes a second each way")->check(positive())->capture_default_str();
  app.add_option("--reserved", options.reserved_gib, "GiB for CUDA, NCCL and fragments")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--checkpoints", options.kept_checkpoints, "checkpoint.keep")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_flag("--json", json, "print JSON instead of tables");
  app.footer("Example: mvrm estimate --model mantis-8b --gpus 8 --gpu h200 --gpu-memory 139.8");
  if (!parse(app, arguments)) return 0;

  const run::EstimateResult result = run::estimate_run(options);
  std::cout << (json ? run::estimate_json(result) + "\n" : run::estimate_table(result));
  return 0;
}

}  // namespace mvrm::app
