// SPDX-License-Identifier: Apache-2.0
// mvrm estimate: whether a training run fits into GPUs of a given size, what it computes and moves, and how long it takes; arithmetic
// alone, before anyone rents a node. Memory is that of this engine (train/memory.h); speed is an assumption that is printed.
#pragma once
#include <cstdint>
#include <mvrm/train/cost.h>
#include <mvrm/train/memory.h>
#include <string>
#include <vector>

namespace mvrm::run {

struct EstimateOptions {
  std::string model;                     // model directory, or the preset mantis-8b (VideoScore's architecture)
  int64_t gpus = 8;
  double gpu_memory_gib = 0;
  int64_t batch = 64, micro_batch = 1, frames = 16, height = 378, width = 512, text_tokens = 312;
  std::string dtype = "bf16", balance = "equal";
  std::string reshard = "auto", reduce = "auto", recompute = "auto", order = "auto";   // as in the configuration
  int64_t samples = 36'901, epochs = 1, kept_checkpoints = 2;
  std::string gpu;                       // name in the table of peaks; empty: peak_tflops
  double peak_tflops = 0;                // dense bf16 of one GPU; 0 = unknown, no times
  double utilisation = 0.4;              // share of the peak that training reaches
  double bandwidth_gb = 370;             // 10^9 bytes a second between GPUs, each way
  double reserved_gib = 2;               // CUDA context, NCCL, fragments
};

struct SchemeEstimate {
  train::Scheme scheme;
  train::MemoryEstimate memory;
  double need_gib = 0;                   // memory.peak() and the reserve
  bool fits = false;
  double traffic_bytes = 0;              // of a rank in a step, each way
  double compute_seconds = 0, exchange_seconds = 0, update_seconds = 0;   // of a step; NaN without a peak
  double step_seconds() const { return compute_seconds + exchange_seconds + update_seconds; }
};
struct EstimateResult {
  EstimateOptions options;
  int64_t parameters = 0, tokens = 0, patches = 0, steps = 0;
  train::Flops flops;                    // of one sample's forward pass
  SchemeEstimate asked;                  // what mvrm train would do with these options
  std::vector<SchemeEstimate> schemes;   // all of them
  int64_t best = -1;                     // the fastest that fits, of equals the first; -1 = none
  double checkpoint_bytes = 0, model_bytes = 0, disk_bytes = 0, host_bytes = 0;   // host: a rank's copy while a checkpoint is written
  double decode_cores = 0;               // of all machines together, to keep up; NaN without a peak
};
// Throws ConfigError for an unknown preset, GPU or impossible numbers, Error (model) for a directory that isn't a model.
EstimateResult estimate_run(const EstimateOptions& options);
std::string estimate_table(const EstimateResult& result);
std::string estimate_json(const EstimateResult& result);
std::vector<std::string> known_gpus();

}  // namespace mvrm::run
