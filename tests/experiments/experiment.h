// SPDX-License-Identifier: Apache-2.0
// What the experiments share: random tables, a profile of given residuals and features, Spearman on clean data, AUROC by table.
// N training samples, T test samples, K dimensions, D width.
#pragma once
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <mvrm/eval/rank_correlation.h>
#include <mvrm/influence/estimator.h>
#include <mvrm/refine/detection.h>
#include <mvrm/refine/strategy.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace mvrm::experiment {

class Draws {
 public:
  explicit Draws(uint64_t seed) : generator_(at::detail::createCPUGenerator(seed)) {}
  at::Tensor normal(at::IntArrayRef shape) { return at::randn(shape, generator_, at::kDouble); }
  at::Tensor permutation(int64_t count) { return at::randperm(count, generator_, at::kLong); }

 private:
  at::Generator generator_;
};

inline std::vector<std::string> names(const std::string& prefix, int64_t count) {
  std::vector<std::string> list;
  for (int64_t i = 0; i < count; ++i) list.push_back(prefix + std::to_string(100000 + i));
  return list;
}

inline influence::Profile make_profile(const at::Tensor& reward_NK, const at::Tensor& label_NK, const at::Tensor& feature_ND) {
  influence::Profile profile{.ids = names("s", label_NK.size(0)), .prompts = names("prompt ", label_NK.size(0)), .dimensions = names("d", label_NK.size(1))};
  profile.prediction_NK = reward_NK.to(at::kFloat);
  profile.label_NK = label_NK.to(at::kFloat);
  profile.residual_NK = (reward_NK - label_NK).to(at::kFloat);
  profile.feature_ND = feature_ND.to(at::kFloat);
  profile.feature_sq_norm_N = feature_ND.square().sum(1).to(at::kFloat);
  profile.self_influence_NK = influence::closed_form(profile.residual_NK, profile.feature_sq_norm_N).to(at::kFloat);
  profile.done_N = at::ones({label_NK.size(0)}, at::kByte);
  return profile;
}

inline std::vector<double> column(const at::Tensor& table, int64_t k) {
  const at::Tensor values = table.select(1, k).to(at::kDouble).contiguous();
  return {values.const_data_ptr<double>(), values.const_data_ptr<double>() + values.numel()};
}

// Mean over dimensions of Spearman between rewards and the truth.
inline double mean_spearman(const at::Tensor& reward_TK, const at::Tensor& truth_TK) {
  double sum = 0;
  for (int64_t k = 0; k < truth_TK.size(1); ++k) sum += eval::spearman(column(reward_TK, k), column(truth_TK, k)).r;
  return sum / static_cast<double>(truth_TK.size(1));
}

// Mean AUROC over the dimensions that hold corrupted labels.
inline double mean_auroc(const at::Tensor& risk_NK, const at::Tensor& corrupted_NK) {
  double sum = 0;
  int64_t count = 0;
  for (const auto& found : refine::detect(risk_NK, corrupted_NK)) {
    if (found.positives == 0) continue;
    sum += found.auroc;
    ++count;
  }
  return sum / static_cast<double>(count);
}

// Differences to the baseline by arm and seed, printed as a table of mean, standard error, smallest and largest.
struct Gains {
  std::map<std::string, std::vector<double>> by_arm;
  void print(const std::string& title) const {
    std::printf("%s\n", title.c_str());
    for (const auto& [arm, gains] : by_arm) {
      const at::Tensor gain = at::tensor(at::ArrayRef<double>(gains));
      const double error = gains.size() > 1 ? gain.std().item<double>() / std::sqrt(static_cast<double>(gains.size())) : 0;
      std::printf("  %-24s %+.4f +- %.4f  (%+.4f .. %+.4f)\n", arm.c_str(), gain.mean().item<double>(), error, gain.min().item<double>(),
                  gain.max().item<double>());
    }
  }
  double mean(const std::string& arm) const { return at::tensor(at::ArrayRef<double>(by_arm.at(arm))).mean().item<double>(); }
};

}  // namespace mvrm::experiment
