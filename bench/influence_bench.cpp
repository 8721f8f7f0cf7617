// SPDX-License-Identifier: Apache-2.0
// Times the closed form over kept features against reading them once and against backward passes, one a label and one a sample. Writes the features and its
// answers for influence_captum.py, which times Captum on the same numbers.
// usage: mvrm_influence_bench N D THREADS FILE.safetensors
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <mvrm/core/safetensors.h>
#include <mvrm/influence/estimator.h>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <torch/csrc/autograd/autograd.h>
#include <vector>

namespace {

constexpr int64_t kDimensions = 5;
constexpr int kRepeats = 9;

struct Timing {
  double least = 0, median = 0;
};

Timing seconds(const std::function<void()>& work, int repeats = kRepeats) {
  work();   // pages and caches
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  return {times.front(), times[times.size() / 2]};
}

// Reads every cache line and keeps what it read alive.
uint64_t read_once(const at::Tensor& table, int64_t threads) {
  typedef uint64_t Words __attribute__((vector_size(64)));
  const auto* words = static_cast<const Words*>(table.const_data_ptr());
  const int64_t count = static_cast<int64_t>(table.nbytes() / sizeof(Words)), each = (count + threads - 1) / threads;
  std::vector<uint64_t> sums(static_cast<size_t>(threads), 0);
  const auto part = [&](int64_t t) {
    Words a{}, b{};
    int64_t i = t * each;
    const int64_t end = std::min(i + each, count);
    for (; i + 1 < end; i += 2) {
      a += words[i];
      b += words[i + 1];
    }
    a += b;
    for (int w = 0; w < 8; ++w) sums[static_cast<size_t>(t)] += a[w];
  };
  std::vector<std::thread> workers;
  for (int64_t t = 1; t < threads; ++t) workers.emplace_back(part, t);
  part(0);
  for (auto& worker : workers) worker.join();
  uint64_t sum = 0;
  for (const uint64_t part_sum : sums) sum += part_sum;
  return sum;
}

// As autograd_influence, the best that backward passes can do for a linear head: one a sample, because row k of the gradient of the summed
// losses belongs to dimension k alone; float32, weights only, samples over the threads.
at::Tensor backward_a_sample(const at::Tensor& feature_ND, const at::Tensor& label_NK, const at::Tensor& weight_KD, const at::Tensor& bias_K, int64_t threads) {
  at::Tensor risk_NK = at::empty_like(label_NK);
  const auto part = [&](int64_t t) {
    at::set_num_threads(1);
    const at::AutoGradMode grad_mode(true);
    const at::Tensor weight = weight_KD.clone().requires_grad_(true);
    for (int64_t n = t; n < label_NK.size(0); n += threads) {
      const at::Tensor loss = 0.5 * (at::linear(feature_ND[n], weight, bias_K) - label_NK[n]).square().sum();
      risk_NK[n].copy_(torch::autograd::grad({loss}, {weight})[0].square().sum(1));
    }
  };
  std::vector<std::thread> workers;
  for (int64_t t = 1; t < threads; ++t) workers.emplace_back(part, t);
  part(0);
  for (auto& worker : workers) worker.join();
  return risk_NK;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace mvrm;
  if (argc != 5) {
    std::fprintf(stderr, "usage: mvrm_influence_bench N D THREADS FILE.safetensors\n");
    return 2;
  }
  const int64_t rows = std::atoll(argv[1]), width = std::atoll(argv[2]), threads = std::atoll(argv[3]);
  at::set_num_threads(1);
  const at::Generator generator = at::detail::createCPUGenerator(7);
  const at::Tensor feature_ND = at::empty({rows, width}, at::kFloat).normal_(0, 1, generator);
  const at::Tensor weight_KD = at::empty({kDimensions, width}, at::kFloat).normal_(0, 0.02, generator), bias_K = at::full({kDimensions}, 2.5f);
  const at::Tensor label_NK = at::empty({rows, kDimensions}, at::kFloat).uniform_(1, 4, generator).round();

  influence::HeadPass pass;
  uint64_t sink = 0;
  const Timing read = seconds([&] { sink += read_once(feature_ND, threads); });
  const Timing closed = seconds([&] { pass = influence::head_pass(feature_ND, label_NK, weight_KD, bias_K, threads); });
  const int64_t few = std::min<int64_t>(rows, width > 1000 ? 100 : 400);
  at::Tensor oracle_NK;
  const Timing autograd = seconds([&] { oracle_NK = influence::autograd_influence(feature_ND.narrow(0, 0, few), label_NK.narrow(0, 0, few), weight_KD, bias_K); }, 3);
  at::Tensor sample_NK;
  const Timing by_sample = seconds([&] { sample_NK = backward_a_sample(feature_ND.narrow(0, 0, few), label_NK.narrow(0, 0, few), weight_KD, bias_K, threads); }, 3);
  if (!at::allclose(sample_NK.to(at::kDouble), oracle_NK, 1e-3, 1e-2)) return std::fprintf(stderr, "the two kinds of backward passes differ\n"), 1;
  const double scale = static_cast<double>(rows) / static_cast<double>(few);
  const double error = ((pass.self_influence_NK.narrow(0, 0, few).to(at::kDouble) - oracle_NK).abs() / oracle_NK.abs().clamp_min(1e-3 * static_cast<double>(width))).max().item<double>();
  core::write_safetensors(argv[4], {{"feature", feature_ND}, {"weight", weight_KD}, {"bias", bias_K}, {"label", label_NK},
                                    {"self_influence", pass.self_influence_NK}});
  std::printf("{\"n\": %lld, \"d\": %lld, \"threads\": %lld, \"read_s\": [%.6f, %.6f], \"closed_form_s\": [%.6f, %.6f], \"autograd_s\": [%.3f, %.3f], \"backward_a_sample_s\": [%.3f, %.3f], "
              "\"autograd_rows\": %lld, \"largest_relative_error\": %.2e, \"read_check\": %llu}\n",
              static_cast<long long>(rows), static_cast<long long>(width), static_cast<long long>(threads), read.least, read.median, closed.least, closed.median,
              autograd.least * scale, autograd.median * scale, by_sample.least * scale, by_sample.median * scale, static_cast<long long>(few), error, static_cast<unsigned long long>(sink % 1000));
  return 0;
}
