// SPDX-License-Identifier: Apache-2.0
// A tiny training job over thread ranks: random samples, no files but the run directory.
#pragma once
#include <ATen/ATen.h>
#include <exception>
#include <map>
#include <mvrm/core/error.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/train/train_state.h>
#include <thread>
#include <vector>

#include "src/train/training.h"
#include "tests/support/program.h"
#include "tests/support/tiny_model.h"

namespace mvrm::test {

// `body(rank's communicator)` on `size` threads; the first exception is thrown here.
template <class Body> void on_ranks(int64_t size, Body body) {
  auto ranks = dist::make_thread_ranks(size);
  std::vector<std::exception_ptr> errors(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (size_t r = 0; r < ranks.size(); ++r) {
    threads.emplace_back([&, r] {
      try {
        body(*ranks[r]);
      } catch (...) {
        errors[r] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& error : errors)
    if (error) std::rethrow_exception(error);
}

using Weights = std::map<std::string, at::Tensor>;

inline Weights parameters_of(const model::RewardModel& model) {
  Weights named;
  for (size_t u = 0; u < model.units.size(); ++u)
    for (size_t i = 0; i < model.units[u].parameters.size(); ++i) named[model.units[u].parameters[i].name] = model.parameters[u][i].to(at::kCPU, /*non_blocking=*/false, /*copy=*/true);
  return named;
}

// `count` samples of tiny_batch(), one a row, all of weight 1.
inline train::Samples tiny_samples(const model::ModelConfig& config, int64_t count) {
  train::Samples samples{.ids = {}, .weight_NK = at::ones({count, config.num_labels}, at::kDouble), .hash = "tiny", .load = {}, .prefetch = {}};
  for (int64_t n = 0; n < count; ++n) samples.ids.push_back(std::string("s").append(std::to_string(n)));
  samples.load = [config](const std::vector<int64_t>& wanted) {
    // One sample a micro-batch in these tests: no padding that depends on the neighbours.
    return train::LoadedBatch{.rows = wanted, .batch = tiny_batch(config, static_cast<int64_t>(wanted.size()), 1, wanted.front())};
  };
  return samples;
}

struct TinyRun {
  train::TrainConfig config;
  int64_t ranks = 1, threads = 1;
  std::string resume = "never";
  std::filesystem::path dir;
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
};
inline train::TrainConfig tiny_train_config(int64_t steps) {
  train::TrainConfig config;
  config.train = {.epochs = 100, .batch = 6, .micro_batch = 1, .max_steps = steps, .recompute = "always"};
  config.optimizer.lr = 3e-3;
  config.checkpoint = {.every = 1000, .keep = 2};
  return config;
}
// Final parameters of rank 0; every rank must have the same.
inline Weights run_tiny(const TinyRun& run, const train::Samples& samples, std::vector<train::TrainResult>* results = nullptr) {
  std::vector<Weights> found(static_cast<size_t>(run.ranks));
  std::vector<train::TrainResult> ended(static_cast<size_t>(run.ranks));
  on_ranks(run.ranks, [&](dist::Communicator& comm) {
    model::RewardModel model = tiny_model(run.dtype);
    model::move_to(model, run.device);
    core::Context context;
    context.threads = run.threads;
    const train::TrainJob job{.config = run.config, .run_dir = run.dir, .processor_dir = {}, .resume = run.resume};
    ended[static_cast<size_t>(comm.rank())] = train::run_training(model, samples, job, comm, context);
    found[static_cast<size_t>(comm.rank())] = parameters_of(model);
  });
  for (const auto& other : found)
    for (const auto& [name, value] : found.front()) MVRM_CHECK(at::equal(value, other.at(name)), name, " differs between ranks");
  if (results != nullptr) *results = ended;
  return found.front();
}

// Largest difference over all parameters, relative to the largest absolute value of each. Those that are all but zero count as if they
// reached 0.01: the true gradient of a key bias is zero, and Adam makes steps out of its noise.
inline double worst_difference(const Weights& a, const Weights& b) {
  double worst = 0;
  for (const auto& [name, value] : a) {
    const auto difference = (value.to(at::kDouble) - b.at(name).to(at::kDouble)).abs().max().item<double>();
    worst = std::max(worst, difference / std::max(1e-2, value.abs().max().item<double>()));
  }
  return worst;
}
inline bool same_bits(const Weights& a, const Weights& b) {
  for (const auto& [name, value] : a)
    if (!at::equal(value, b.at(name))) return false;
  return a.size() == b.size();
}

}  // namespace mvrm::test
