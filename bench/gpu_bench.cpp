// SPDX-License-Identifier: Apache-2.0
// What one GPU reaches with the full-size model: scoring, profiling, the gradient of a micro-batch, whole optimiser steps. Random weights and
// clips; prints Markdown for docs/benchmarks. scripts/gpu_check.sh runs it.
// usage: mvrm_gpu_bench [PEAK_TFLOPS]   (dense bfloat16; default 989, H100 and H200)
//        mvrm_gpu_bench --flops         prints the 10^12 operations of one forward pass of a clip, for bench/gpu_peer.py
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <mvrm/core/error.h>
#include <mvrm/dist/plugin.h>
#include <mvrm/model/attention_backend.h>
#include <mvrm/model/reward_model.h>
#include <mvrm/run/process.h>
#include <mvrm/train/cost.h>
#include <mvrm/train/engine.h>
#include <mvrm/train/memory.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <unistd.h>

#include "src/train/training.h"

namespace {

using namespace mvrm;

const at::Device kGpu(at::kCUDA, 0);
constexpr double kGib = 1024.0 * 1024.0 * 1024.0;
constexpr int64_t kFrames = 16, kHeight = 378, kWidth = 512, kTextTokens = 220, kAroundFrame = 3;

c10::DeviceAllocator& allocator() { return *c10::getDeviceAllocator(at::kCUDA); }
double peak_gib() { return static_cast<double>(allocator().getDeviceStats(0).allocated_bytes[0].peak) / kGib; }

// Mantis-Idefics2-8B, or its first text layers.
model::ModelConfig config_of(int64_t text_layers) {
  model::ModelConfig config;
  config.text.num_hidden_layers = text_layers;
  for (int64_t k = 0; k < config.num_labels; ++k) config.dimensions.push_back("dimension " + std::to_string(k));
  return config;
}

// Drawn on the device: eight billion numbers take a minute on one core.
model::RewardModel random_model(int64_t text_layers) {
  const at::NoGradGuard no_grad;
  model::RewardModel model{.config = config_of(text_layers), .units = {}, .parameters = {}, .dtype = at::kBFloat16};
  model.units = model::make_units(model.config);
  for (const auto& unit : model.units) {
    auto& parameters = model.parameters.emplace_back();
    for (const auto& spec : unit.parameters) {
      at::Tensor value = at::empty(spec.shape, at::TensorOptions(kGpu).dtype(at::kBFloat16));
      spec.name.find("norm") != std::string::npos ? value.fill_(spec.name.ends_with("bias") ? 0 : 1) : value.normal_(0, 0.02);
      parameters.push_back(value);
    }
  }
  return model;
}

// Prompt b is b times `shorter` tokens shorter than the first.
data::Batch random_batch(const model::ModelConfig& config, int64_t clips, int64_t shorter = 0) {
  const int64_t latents = config.perceiver.resampler_n_latents, length = kTextTokens + kFrames * (latents + kAroundFrame);
  data::Batch batch;
  for (int64_t b = 0; b < clips; ++b) batch.ids.push_back("clip " + std::to_string(b));
  batch.input_ids_BL = at::randint(3, 32000, {clips, length}, at::kLong);
  batch.attention_mask_BL = at::ones_like(batch.input_ids_BL);
  for (int64_t b = 0; b < clips; ++b) {
    const int64_t text = kTextTokens - b * shorter;
    for (int64_t f = 0; f < kFrames; ++f) batch.input_ids_BL[b].narrow(0, text + f * (latents + kAroundFrame) + 1, latents).fill_(config.image_token_id);
    batch.attention_mask_BL[b].narrow(0, length - b * shorter, b * shorter).zero_();
  }
  batch.pixels_RCHW = at::rand({clips * kFrames, 3, kHeight, kWidth}) * 2 - 1;
  batch.label_BK = at::randint(1, 5, {clips, config.num_labels}).to(at::kFloat);
  return batch;
}

train::ClipShape shape_of(const data::Batch& batch) {   // of a mean clip
  return {.frames = kFrames, .height = kHeight, .width = kWidth, .tokens = batch.attention_mask_BL.sum().item<int64_t>() / batch.size()};
}

// Seconds of one call: the median of `repeats` behind a warm-up. `work` ends with a number of the device on the host.
template <class Work> double seconds_of(int repeats, Work work) {
  work();
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::nth_element(times.begin(), times.begin() + repeats / 2, times.end());
  return times[static_cast<size_t>(repeats / 2)];
}

struct Row { std::string what; double clips, seconds, flops; };
void print(const Row& row, int64_t tokens, double peak_flops) {
  std::printf("| %s | %.3f s | %.2f | %.0f | %.0f | %.1f %% | %.1f GiB |\n", row.what.c_str(), row.seconds, row.clips / row.seconds,
              row.clips * static_cast<double>(tokens) / row.seconds, row.flops / row.seconds / 1e12, 100 * row.flops / row.seconds / peak_flops, peak_gib());
  std::fflush(stdout);
}

void bench_forward(const model::RewardModel& model, double peak_flops) {
  for (const int64_t clips : {1, 4, 8}) {
    const data::Batch batch = random_batch(model.config, clips);
    const double flops = static_cast<double>(clips) * train::flops_of(model.config, shape_of(batch)).forward();
    const auto prepared = model::to_device(model::prepare(model.config, batch, model.dtype), kGpu);
    const at::Tensor position_BF = at::arange(kFrames).mul(67).add(kTextTokens + 66).expand({clips, kFrames}).contiguous();
    for (const bool prefix : {false, true}) {
      allocator().resetPeakStats(0);
      const double seconds = seconds_of(5, [&] {
        const auto output = model::forward(model, prepared, {.prefix_position_BF = prefix ? position_BF : at::Tensor()});
        output.reward_BK.cpu();
        if (prefix) output.feature_BD.cpu(), output.prefix_reward_BFK.cpu();
      });
      print({std::string(prefix ? "profile" : "score") + ", " + std::to_string(clips) + (clips > 1 ? " clips" : " clip") + " a pass", static_cast<double>(clips), seconds, flops},
            batch.input_ids_BL.size(1), peak_flops);
    }
  }
}

// Real prompts: as the pass above, but for their lengths.
void bench_packed(const model::RewardModel& model, double peak_flops) {
  constexpr int64_t kClips = 8, kShorter = 24;
  const data::Batch batch = random_batch(model.config, kClips, kShorter);
  const auto prepared = model::to_device(model::prepare(model.config, batch, model.dtype), kGpu);
  allocator().resetPeakStats(0);
  const double seconds = seconds_of(5, [&] { model::forward(model, prepared).reward_BK.cpu(); });
  print({"score, 8 clips a pass, prompts of 8 lengths", kClips, seconds, kClips * train::flops_of(model.config, shape_of(batch)).forward()}, shape_of(batch).tokens, peak_flops);
}

// Gradients of one micro-batch in float32, units computed again; operations as a model needs them (3 forward passes), so the share of the
// peak is the usual model FLOPs utilisation.
void bench_gradient(model::RewardModel& model, double peak_flops) {
  std::vector<train::FlatLayout> layouts;
  for (const auto& unit : model.units) layouts.push_back(train::layout_of(unit, 1));
  train::Gradients gradients = train::zero_gradients(layouts, at::TensorOptions(kGpu).dtype(at::kFloat));
  for (const bool deterministic : {true, false}) {
    for (const int64_t clips : {1, 2}) {
      at::globalContext().setDeterministicAlgorithms(deterministic, false);
      at::globalContext().setSDPUseCuDNN(!deterministic);
      const data::Batch batch = random_batch(model.config, clips);
      train::MicroBatch micro{.batch = batch, .prepared = model::to_device(model::prepare(model.config, batch, model.dtype), kGpu),
                              .weight_BK = at::ones(batch.label_BK.sizes(), at::kDouble), .divisor = static_cast<double>(batch.label_BK.numel())};
      train::LocalAccess access(model.parameters, gradients);
      allocator().resetPeakStats(0);
      const double seconds = seconds_of(3, [&] {
        train::forward_backward(model.config, model.units, layouts, micro, {.dtype = model.dtype, .recompute = true}, access).row_BC.cpu();
        gradients.front().sum().item<float>();
      });
      print({"gradient, " + std::to_string(clips) + (clips > 1 ? " clips" : " clip") + (deterministic ? "" : ", run.deterministic=false"), static_cast<double>(clips), seconds,
             3 * static_cast<double>(clips) * train::flops_of(model.config, shape_of(batch)).forward()},
            batch.input_ids_BL.size(1), peak_flops);
    }
  }
  at::globalContext().setDeterministicAlgorithms(true, false);
  at::globalContext().setSDPUseCuDNN(false);
}

// Whole steps through the training loop, with optimiser and metrics.
void bench_steps(int64_t text_layers, double peak_flops) {
  model::RewardModel model = random_model(text_layers);
  const data::Batch one = random_batch(model.config, 1);
  const int64_t parameters = train::parameter_count(model.config);
  train::Samples samples{.ids = {}, .weight_NK = at::ones({64, model.config.num_labels}, at::kDouble), .hash = "random", .load = {}, .prefetch = {}};
  for (int n = 0; n < 64; ++n) samples.ids.push_back(std::to_string(n));
  samples.load = [&](const std::vector<int64_t>& wanted) { return train::LoadedBatch{.rows = wanted, .batch = one}; };
  const std::filesystem::path dir = std::filesystem::temp_directory_path() / ("mvrm_gpu_bench_" + std::to_string(::getpid()));
  train::TrainJob job{.run_dir = dir, .resume = "never"};
  job.config.train = {.epochs = 1, .batch = 16, .micro_batch = 1, .max_steps = 3};
  job.config.checkpoint.every = 1000;
  job.config.dist.peak_tflops = peak_flops / 1e12;
  const auto comm = dist::make_single();
  allocator().resetPeakStats(0);
  train::run_training(model, samples, job, *comm, {});
  std::ifstream lines(dir / "metrics.jsonl");
  nlohmann::json last;
  for (std::string line; std::getline(lines, line);) last = nlohmann::json::parse(line);
  std::filesystem::remove_all(dir);
  const auto scheme = train::scheme_of(job.config, {.parameters = parameters, .weight_bytes = 2, .dimensions = model.config.num_labels, .gpu = true});
  const double estimated = train::estimate_memory(model.config, shape_of(one), scheme).peak() / kGib, measured = last.at("peak_device_memory_gib");
  std::printf("\nWhole optimiser steps of 16 clips through the training loop, %.2f billion parameters (%ld text layers, the rest as above), order fast:\n"
              "%.2f s a step, %.0f tokens/s, %.0f TFLOP/s = %.1f %% of the peak, waiting for data %.3f s. Peak memory %.2f GiB, `mvrm estimate`'s model says %.2f GiB (%+.1f %%).\n",
              static_cast<double>(parameters) / 1e9, static_cast<long>(text_layers), last.at("seconds").get<double>(), last.at("tokens_per_second").get<double>(),
              last.at("flops_per_second").get<double>() / 1e12, 100 * last.at("flops_utilisation").get<double>(), last.at("data_wait_seconds").get<double>(), measured,
              estimated, 100 * (estimated / measured - 1));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "--flops") {
    const auto config = config_of(32);
    std::printf("%.3f\n", train::flops_of(config, shape_of(random_batch(config, 1))).forward() / 1e12);
    return 0;
  }
  const double peak_flops = 1e12 * (argc > 1 ? std::atof(argv[1]) : 989);
  run::make_context({});
  if (!dist::load_cuda_plugin(core::Log::to_stderr()) || dist::cuda_device_count() == 0) {
    std::fprintf(stderr, "mvrm_gpu_bench: no GPU, or no plug-in (docs/cuda.md)\n");
    return 2;
  }
  try {
    {
      model::RewardModel model = random_model(32);
      const data::Batch batch = random_batch(model.config, 1);
      std::printf("Mantis-Idefics2-8B (%.2f billion parameters, random weights), bfloat16; clips of %ld frames of %ld x %ld, %ld tokens, %.1f TFLOP forward. Attention: %s.\n\n",
                  static_cast<double>(train::parameter_count(model.config)) / 1e9, kFrames, kHeight, kWidth, batch.input_ids_BL.size(1),
                  train::flops_of(model.config, shape_of(batch)).forward() / 1e12, model::attention_backend(model).c_str());
      std::puts("| one call | time | clips/s | tokens/s | TFLOP/s | of the peak | peak memory |\n|---|---|---|---|---|---|---|");
      bench_forward(model, peak_flops);
      bench_packed(model, peak_flops);
      bench_gradient(model, peak_flops);
    }
    allocator().emptyCache();
    bench_steps(4, peak_flops);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mvrm_gpu_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
