// SPDX-License-Identifier: Apache-2.0
// Memory and time of one step's update under PCGrad, a method a process: `explicit` keeps K gradients and projects copies of them one by
// one, `textbook` copies all K first (as published code does), `shards` and `sketch` are the program's (balance.pcgrad.gram), `equal` is a
// step without PCGrad. A model of random weights on random clips.
// usage: mvrm_pcgrad_bench METHOD [WIDTH LAYERS MICRO_BATCHES RANKS]   (ranks are threads, what they hold is added up)
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <mvrm/core/error.h>
#include <mvrm/train/pcgrad.h>
#include <malloc.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "src/train/balanced_step.h"
#include "tests/support/tiny_model.h"

namespace {

using namespace mvrm;
using train::Gradients;

constexpr int64_t kMicroBatch = 2;
constexpr uint64_t kSeed = 9;

model::ModelConfig config_of(int64_t width, int64_t layers) {
  model::ModelConfig config = test::tiny_config();
  config.text.vocab_size = 8192;
  config.text.hidden_size = width;
  config.text.intermediate_size = 4 * width;
  config.text.num_hidden_layers = layers;
  config.text.num_attention_heads = 8;
  config.text.num_key_value_heads = 8;
  config.text.head_dim = width / 8;
  config.text.initializer_range = 0.02;
  return config;
}

train::Samples samples_of(const model::ModelConfig& config, int64_t count) {
  train::Samples samples{.ids = std::vector<std::string>(static_cast<size_t>(count)), .weight_NK = at::ones({count, config.num_labels}, at::kDouble),
                         .hash = "random", .load = {}, .prefetch = {}};
  samples.load = [config](const std::vector<int64_t>& wanted) {
    return train::LoadedBatch{.rows = wanted, .batch = test::tiny_batch(config, static_cast<int64_t>(wanted.size()), 1, wanted.front())};
  };
  return samples;
}

// MB: the most that was resident since the last forget_peak(), and what is resident now.
double resident(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) return std::stod(line.substr(name.size() + 1)) * 1024 / 1e6;
  }
  throw core::Error("no " + name + " in /proc/self/status");
}
void forget_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

double dot(const Gradients& a, const Gradients& b, size_t units, size_t first_b) {
  double sum = 0;
  for (size_t u = 0; u < units; ++u) sum += at::dot(a[u], b[first_b + u]).item<double>();
  return sum;
}

// As published: gradient i less its part along gradient j where the two point apart. One gradient a task, a list of units each; the head
// too, which the program leaves out: its rows never conflict.
Gradients written_out(Gradients gradients, int64_t dimensions, uint64_t seed, int64_t step, bool copy_all) {
  const size_t units = gradients.size() / static_cast<size_t>(dimensions);
  const auto copy = [&](size_t i) {
    Gradients own;
    for (size_t u = 0; u < units; ++u) own.push_back(gradients[i * units + u].clone());
    return own;
  };
  std::vector<Gradients> copies;
  for (size_t i = 0; copy_all && i < static_cast<size_t>(dimensions); ++i) copies.push_back(copy(i));
  Gradients sum;
  for (size_t i = 0; i < static_cast<size_t>(dimensions); ++i) {
    Gradients own = copy_all ? std::move(copies[i]) : copy(i);
    for (const int64_t j : train::pcgrad_order(dimensions, static_cast<int64_t>(i), seed, step)) {
      const size_t other = static_cast<size_t>(j) * units;
      const double product = dot(own, gradients, units, other);
      if (product >= 0) continue;
      double square = 0;
      for (size_t u = 0; u < units; ++u) square += at::dot(gradients[other + u], gradients[other + u]).item<double>();
      for (size_t u = 0; u < units; ++u) own[u].sub_(gradients[other + u], product / square);
    }
    if (sum.empty()) sum = std::move(own);
    else for (size_t u = 0; u < units; ++u) sum[u].add_(own[u]);
  }
  return sum;
}

Gradients update_of(const std::string& method, const train::StepResources& with, const train::StepBatch& batch, int64_t step) {
  const auto never = [] { return false; };
  const int64_t dimensions = with.samples.weight_NK.size(1);
  const bool own = method == "explicit" || method == "textbook";
  train::BalanceConfig config;
  config.strategy = method == "equal" ? "equal" : "pcgrad";
  if (method == "shards" || method == "sketch") config.pcgrad = {.gram = method, .include_head = method == "shards"};   // sketches always leave the head out
  const train::Balancer balancer(config, dimensions, kSeed);
  if (!own) return train::compute_balanced_step(with, batch, balancer, step, method == "sketch", never).gradient_parts;
  return written_out(train::compute_step(with, batch, {.factor_K = {}, .per_dimension = true}, never).gradient_parts, dimensions, balancer.seed(), step, method == "textbook");
}

struct Rank { double seconds = 0, square = 0; };

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc), methods{"equal", "explicit", "textbook", "shards", "sketch"};
  const auto number = [&](size_t i, int64_t otherwise) { return arguments.size() > i ? std::stoll(arguments[i]) : otherwise; };
  if (arguments.empty() || std::find(methods.begin(), methods.end(), arguments[0]) == methods.end()) {
    std::fprintf(stderr, "usage: mvrm_pcgrad_bench equal|explicit|textbook|shards|sketch [WIDTH LAYERS MICRO_BATCHES RANKS]\n");
    return 2;
  }
  const std::string method = arguments[0];
  const int64_t width = number(1, 512), layers = number(2, 8), slots = number(3, 1), size = number(4, 1);
  if (size > 1 && (method == "explicit" || method == "textbook")) {
    std::fprintf(stderr, "mvrm_pcgrad_bench: whole gradients are written out on one rank only\n");
    return 2;
  }
  at::set_num_threads(1);
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);   // memory that is given back is gone from the peak, as it is with a large model's tensors
  const model::ModelConfig config = config_of(width, layers);
  const train::Samples samples = samples_of(config, slots * size * kMicroBatch);
  train::StepBatch batch{.samples = {}, .micro_batch = kMicroBatch};
  for (int64_t n = 0; n < slots * size * kMicroBatch; ++n) batch.samples.push_back(n);

  auto comms = dist::make_thread_ranks(size);
  std::vector<Rank> ranks(static_cast<size_t>(size));
  int64_t parameters = 0;
  double before = 0, peak = 0;
  const auto work = [&](size_t r) {
    dist::Communicator& comm = *comms[r];
    model::RewardModel model = model::random_reward_model(config, at::kFloat, 1);
    const train::TrainState state(model, comm);
    train::WorkerPool pool(1);
    const train::StepResources with{.model = model, .state = state, .samples = samples, .comm = comm, .pool = pool, .reduce_each = size > 1};
    comm.barrier();
    if (r == 0) {
      for (const auto& layout : state.layouts()) parameters += layout.total;
      forget_peak();
      before = resident("VmRSS");
    }
    comm.barrier();
    for (int64_t step = 0; step < 3; ++step) {
      const auto start = std::chrono::steady_clock::now();
      const Gradients update = update_of(method, with, batch, 0);
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      comm.barrier();
      if (step > 0) {
        ranks[r].seconds = ranks[r].seconds > 0 ? std::min(ranks[r].seconds, seconds) : seconds;
        continue;
      }
      for (const auto& part : update) ranks[r].square += at::dot(part, part).item<double>();
      if (r == 0) {
        peak = resident("VmHWM");
        ::mallopt(M_MMAP_THRESHOLD, 32 << 20);   // the steps that are timed keep their memory
        ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
      }
      comm.barrier();
    }
  };
  std::vector<std::thread> others;
  for (size_t r = 1; r < ranks.size(); ++r) others.emplace_back(work, r);
  work(0);
  for (auto& other : others) other.join();
  double square = 0;
  for (const auto& rank : ranks) square += rank.square;
  const double gradient = static_cast<double>(parameters) * 4 / 1e6, added = (peak - before) / static_cast<double>(size);
  const nlohmann::ordered_json document{{"method", method}, {"million_parameters", static_cast<double>(parameters) / 1e6}, {"micro_batches", slots}, {"ranks", size},
                                        {"gradient_mb", gradient}, {"before_mb", before}, {"peak_mb", peak}, {"added_mb_a_rank", added},
                                        {"added_gradients_a_rank", added / gradient}, {"step_s", ranks[0].seconds},
                                        {"update_norm", std::sqrt(square)}};
  std::printf("%s\n", document.dump().c_str());
  return 0;
}
