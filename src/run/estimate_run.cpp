// SPDX-License-Identifier: Apache-2.0
// The story of `mvrm estimate` (spec/training.md section 2).
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <mvrm/core/error.h>
#include <mvrm/run/estimate_run.h>

namespace mvrm::run {

namespace {

struct Gpu { const char* name; double peak_tflops; };   // dense bf16, the vendor's numbers
constexpr Gpu kGpus[] = {{"a100", 312}, {"h100", 989}, {"h200", 989}, {"b200", 2250}};

constexpr double kGib = 1024.0 * 1024.0 * 1024.0;
constexpr int64_t kTokensAroundFrame = 3;                // two marks and a line break
constexpr double kOptimizerBytes = 30, kMemoryBandwidth = 4.3e12;   // of a parameter; bytes a second (a copy on an H200)
constexpr double kDecodedFramesPerCore = 393;            // frames a second, decoded and resized (docs/benchmarks)

double peak_of(const EstimateOptions& options) {
  if (options.gpu.empty()) return 1e12 * options.peak_tflops;
  for (const Gpu& gpu : kGpus)
    if (options.gpu == gpu.name) return 1e12 * gpu.peak_tflops;
  std::string names;
  for (const auto& name : known_gpus()) names += (names.empty() ? "" : ", ") + name;
  throw core::ConfigError("--gpu: unknown '" + options.gpu + "'; known: " + names + "; or give --peak-tflops");
}

model::ModelConfig config_of(const std::string& model) {
  if (model == "mantis-8b") return {};
  if (!std::filesystem::is_directory(model)) throw core::ConfigError("--model: '" + model + "' is neither a model directory nor a preset; presets: mantis-8b");
  return model::load_model_config(model);
}

class Estimator {
 public:
  explicit Estimator(const EstimateOptions& options) : config_(config_of(options.model)), peak_(peak_of(options)) {
    result_.options = options;
    result_.parameters = train::parameter_count(config_);
    clip_ = {.frames = options.frames, .height = options.height, .width = options.width};
    clip_.tokens = options.text_tokens + options.frames * (config_.perceiver.resampler_n_latents + kTokensAroundFrame);
    result_.tokens = clip_.tokens;
    result_.patches = train::patches_of(config_, clip_);
    result_.flops = train::flops_of(config_, clip_);
    result_.steps = options.epochs * ((options.samples + options.batch - 1) / options.batch);
    if (result_.patches < 1) throw core::ConfigError("--height, --width: a frame of less than one patch of " + std::to_string(config_.vision.patch_size) + " pixels");
  }

  EstimateResult run() {
    const auto& o = result_.options;
    train::TrainConfig config;
    config.train = {.batch = o.batch, .micro_batch = o.micro_batch, .recompute = o.recompute};
    config.dist = {.reshard = o.reshard, .reduce = o.reduce, .order = o.order};
    config.balance.strategy = o.balance;
    const train::Scheme asked = train::scheme_of(config, {.parameters = result_.parameters, .ranks = o.gpus, .weight_bytes = o.dtype == "bf16" ? 2 : 4, .dimensions = config_.num_labels, .gpu = true});
    result_.asked = of(asked);
    for (const bool ordered : {true, false})
      for (const bool kept : {true, false})
        for (const bool reduce_each : {false, true})
          for (const bool again : {false, true}) {
            train::Scheme scheme = asked;
            scheme.ordered = ordered;
            scheme.keep_weights = kept;
            scheme.reduce_each = reduce_each;
            scheme.recompute = again;
            if (o.gpus > 1 || (kept && !reduce_each)) result_.schemes.push_back(of(scheme));
          }
    for (size_t i = 0; i < result_.schemes.size(); ++i) {
      const auto& scheme = result_.schemes[i];
      if (scheme.fits && (result_.best < 0 || cost(scheme) < cost(result_.schemes[static_cast<size_t>(result_.best)]))) result_.best = static_cast<int64_t>(i);
    }
    const double gpus = static_cast<double>(o.gpus);
    result_.checkpoint_bytes = train::checkpoint_bytes(config_, result_.asked.scheme);
    result_.model_bytes = train::model_bytes(config_, result_.asked.scheme);
    result_.disk_bytes = static_cast<double>(o.kept_checkpoints + 1) * result_.checkpoint_bytes + result_.model_bytes;
    result_.host_bytes = result_.checkpoint_bytes / gpus;
    result_.decode_cores = static_cast<double>(o.batch * o.frames) / result_.asked.step_seconds() / kDecodedFramesPerCore;
    return result_;
  }

 private:
  // What a step takes, in operations where no peak is known.
  double cost(const SchemeEstimate& scheme) const {
    return std::isnan(scheme.step_seconds()) ? operations(scheme.scheme) + scheme.traffic_bytes : scheme.step_seconds();
  }
  double operations(const train::Scheme& scheme) const {
    return static_cast<double>(scheme.micro_batches * scheme.micro_batch) * result_.flops.forward() * (scheme.recompute ? 4 : 3);
  }
  SchemeEstimate of(const train::Scheme& scheme) const {
    const auto& o = result_.options;
    SchemeEstimate estimate{.scheme = scheme, .memory = {}};
    estimate.memory = train::estimate_memory(config_, clip_, estimate.scheme);
    estimate.need_gib = estimate.memory.peak() / kGib + o.reserved_gib;
    estimate.fits = estimate.need_gib <= o.gpu_memory_gib;
    estimate.traffic_bytes = train::traffic_bytes(result_.parameters, estimate.scheme);
    const double nan = std::numeric_limits<double>::quiet_NaN();
    estimate.compute_seconds = peak_ > 0 ? operations(estimate.scheme) / (peak_ * o.utilisation) : nan;
    estimate.exchange_seconds = peak_ > 0 ? estimate.traffic_bytes / (1e9 * o.bandwidth_gb) : nan;
    estimate.update_seconds = peak_ > 0 ? kOptimizerBytes * static_cast<double>(result_.parameters) / static_cast<double>(o.gpus) / kMemoryBandwidth : nan;
    return estimate;
  }

  model::ModelConfig config_;
  double peak_;
  train::ClipShape clip_;
  EstimateResult result_;
};

}  // namespace

std::vector<std::string> known_gpus() {
  std::vector<std::string> names;
  for (const Gpu& gpu : kGpus) names.emplace_back(gpu.name);
  return names;
}

EstimateResult estimate_run(const EstimateOptions& options) { return Estimator(options).run(); }

}  // namespace mvrm::run
