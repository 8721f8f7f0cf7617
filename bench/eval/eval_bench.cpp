// SPDX-License-Identifier: Apache-2.0
// The C++ side of scripts/bench_eval.py. Reads a table (int64 N, int64 K, then float64 rewards [K, N] and labels [K, N]) from the file
// named on the command line and answers one line of JSON for each line on stdin: "spearman", or "bootstrap RESAMPLES THREADS".
// Only the work is timed, not reading or writing.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <mvrm/core/files.h>
#include <mvrm/eval/rank_correlation.h>
#include <chrono>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace {

using namespace mvrm;
using Clock = std::chrono::steady_clock;

struct Table {
  std::vector<std::vector<double>> reward, label;
};

Table read_table(const std::string& path) {
  const std::string bytes = core::read_file(path);
  int64_t size[2] = {};
  std::memcpy(size, bytes.data(), sizeof size);
  const auto n = static_cast<size_t>(size[0]), k = static_cast<size_t>(size[1]);
  Table table;
  for (size_t column = 0; column < 2 * k; ++column) {
    std::vector<double> values(n);
    std::memcpy(values.data(), bytes.data() + sizeof size + column * n * sizeof(double), n * sizeof(double));
    (column < k ? table.reward : table.label).push_back(std::move(values));
  }
  return table;
}

at::Tensor tensor_of(const std::vector<std::vector<double>>& columns) {
  std::vector<at::Tensor> tensors;
  for (const auto& column : columns) tensors.push_back(at::tensor(column, at::kDouble));
  return at::stack(tensors, 1).contiguous();
}

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

nlohmann::json spearman(const Table& table) {
  std::vector<double> r, p;
  const auto start = Clock::now();
  for (size_t k = 0; k < table.reward.size(); ++k) {
    const auto correlation = eval::spearman(table.reward[k], table.label[k]);
    r.push_back(correlation.r);
    p.push_back(correlation.p_value);
  }
  return {{"seconds", since(start)}, {"r", r}, {"p", p}};
}

nlohmann::json bootstrap(const eval::Predictions& predictions, int64_t resamples, int64_t threads) {
  const auto start = Clock::now();
  const auto result = eval::evaluate_spearman(predictions, resamples, 42, threads);
  nlohmann::json answer{{"seconds", since(start)}, {"low", nlohmann::json::array()}, {"high", nlohmann::json::array()}};
  for (const auto& d : result.dimensions) {
    answer["low"].push_back(d.low);
    answer["high"].push_back(d.high);
  }
  return answer;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: mvrm_eval_bench TABLE\n";
    return 2;
  }
  at::set_num_threads(1);
  const Table table = read_table(argv[1]);
  eval::Predictions predictions{.ids = {}, .dimensions = {}, .reward_NK = tensor_of(table.reward), .label_NK = tensor_of(table.label)};
  for (size_t k = 0; k < table.reward.size(); ++k) predictions.dimensions.push_back(std::to_string(k));
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string what;
    int64_t resamples = 0, threads = 1;
    words >> what >> resamples >> threads;
    std::cout << (what == "spearman" ? spearman(table) : bootstrap(predictions, resamples, threads)).dump() << std::endl;
  }
}
