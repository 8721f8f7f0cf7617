// SPDX-License-Identifier: Apache-2.0
// The story of `mvrm demo`: render, train on noisy labels, profile, find the noise, refine, train again, compare.
#include "demo_steps.h"

#include <chrono>
#include <cmath>
#include <functional>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/influence/estimator.h>
#include <mvrm/run/process.h>

namespace mvrm::run {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

// Two-sided 97.5 % quantile of Student's t, degrees of freedom 1..30, then the normal's.
double t_quantile(int64_t freedom) {
  static constexpr double kQuantile[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                                         2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
                                         2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};
  return freedom <= 30 ? kQuantile[freedom - 1] : 1.960;
}

class StepTimer {
 public:
  StepTimer(Json& seconds, const core::Context& context, int64_t total) : seconds_(seconds), context_(context), total_(total) {}
  template <class Step> auto run(const std::string& name, Step step) {
    context_.log.info("step " + std::to_string(++number_) + "/" + std::to_string(total_) + ": " + name);
    const auto start = std::chrono::steady_clock::now();
    const auto stop = [&] {
      const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      seconds_[name] = seconds_.value(name, 0.0) + elapsed;
    };
    if constexpr (std::is_void_v<decltype(step())>) {
      step();
      stop();
    } else {
      auto result = step();
      stop();
      return result;
    }
  }

 private:
  Json& seconds_;
  const core::Context& context_;
  int64_t total_, number_ = 0;
};

Json run_seed(const DemoSetting& setting, StepTimer& timer, const core::Context& context) {
  const std::string seed = setting.directory.filename().string();
  Json result{{"seed", setting.seed}};
  timer.run("render " + std::to_string(setting.videos) + " noisy and " + std::to_string(setting.test_videos) + " clean clips",
            [&] { render_demo_data(setting, context); });
  result["spearman"]["baseline"] = timer.run("train the baseline on noisy labels", [&] { return train_demo_arm(setting, "baseline", context); });
  const auto profile = timer.run("profile the training set", [&] { return profile_demo(setting, context); });
  result["auroc"] = timer.run("compare with the planted noise", [&] { return demo_auroc(setting, profile); });
  result["feature_sq_norm_cv"] = influence::loss_similarity(profile, setting.alpha_percent).feature_sq_norm_cv;
  for (const std::string arm : kDemoArms) {
    if (arm == "baseline") continue;
    result["spearman"][arm] = timer.run("refine and train again: " + arm, [&] { return train_demo_arm(setting, arm, context); });
  }
  return result;
}

// Mean over seeds of every leaf number below `key`.
Json mean_over(const std::vector<Json>& runs, const std::string& key) {
  Json mean = runs.front().at(key);
  for (auto& [row, cells] : mean.items()) {
    for (auto& [column, value] : cells.items()) {
      double sum = 0;
      for (const auto& run : runs) sum += run.at(key).at(row).at(column).get<double>();
      value = sum / static_cast<double>(runs.size());
    }
  }
  return mean;
}

// Gain of each arm over the baseline, paired by seed, with a 95 % interval of the mean (Student t); null bounds for a single seed.
Json paired_gains(const std::vector<Json>& runs) {
  Json gains;
  const auto count = static_cast<double>(runs.size());
  for (const std::string arm : kDemoArms) {
    if (arm == "baseline") continue;
    double sum = 0, sum_sq = 0;
    for (const auto& run : runs) {
      const double gain = run.at("spearman").at(arm).at("mean").get<double>() - run.at("spearman").at("baseline").at("mean").get<double>();
      sum += gain;
      sum_sq += gain * gain;
    }
    const double mean = sum / count;
    gains[arm] = {{"mean", mean}, {"low", nullptr}, {"high", nullptr}, {"n", runs.size()}};
    if (runs.size() > 1) {
      const double deviation = std::sqrt(std::max(0.0, (sum_sq - count * mean * mean) / (count - 1)));
      const double half = t_quantile(static_cast<int64_t>(runs.size()) - 1) * deviation / std::sqrt(count);
      gains[arm]["low"] = mean - half;
      gains[arm]["high"] = mean + half;
    }
  }
  return gains;
}

}  // namespace

nlohmann::ordered_json demo_run(const DemoOptions& options, const core::Context& context) {
  const fs::path base = options.base_model.empty() ? find_shipped("configs/demo/base") : options.base_model;
  const int64_t videos = options.videos > 0 ? options.videos : (options.quick ? 240 : 640);
  const int64_t steps_per_seed = 4 + static_cast<int64_t>(std::size(kDemoArms)) - 1;
  Json seconds = Json::object();
  StepTimer timer(seconds, context, steps_per_seed * options.seeds);
  std::vector<Json> runs;
  for (int64_t s = 0; s < options.seeds; ++s) {
    const uint64_t seed = options.seed + static_cast<uint64_t>(s);
    const DemoSetting setting{.directory = options.out_dir / ("seed-" + std::to_string(seed)), .base_model = base, .videos = videos,
                              .test_videos = std::max<int64_t>(120, videos / 2), .noise = options.noise,
                              .alpha_percent = options.alpha_percent, .seed = seed};
    runs.push_back(run_seed(setting, timer, context));
  }
  Json document{{"seed", options.seed}, {"seeds", options.seeds}, {"videos", videos}, {"noise", options.noise},
                {"alpha_percent", options.alpha_percent}, {"auroc", mean_over(runs, "auroc")}, {"spearman", mean_over(runs, "spearman")},
                {"gain", paired_gains(runs)}, {"feature_sq_norm_cv", runs.front().at("feature_sq_norm_cv")}, {"runs", runs},
                {"out", options.out_dir.string()}, {"seconds", seconds}};
  core::write_file_atomic(options.out_dir / "demo.json", document.dump(2) + "\n");
  core::write_file_atomic(options.out_dir / "report.md", demo_report(document));
  return document;
}

}  // namespace mvrm::run
