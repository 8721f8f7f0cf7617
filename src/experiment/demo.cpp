// SPDX-License-Identifier: Apache-2.0
// The story of `mvrm demo`: render, train on noisy labels, profile, find the noise, refine, train again, compare.
#include <mvrm/experiment/demo.h>

#include "step_timer.h"

#include <ATen/ATen.h>
#include <cmath>
#include <mvrm/core/files.h>
#include <mvrm/experiment/arm.h>
#include <mvrm/experiment/paired.h>
#include <mvrm/influence/estimator.h>
#include <mvrm/refine/detection.h>
#include <mvrm/run/process.h>

namespace mvrm::experiment {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr const char* kRefined[] = {"ddp", "ddr", "mask", "random"};

run::RunConfig fine_tuning(const fs::path& base_model) {
  // The places are replaced for every run; the file holds everything else.
  return run::load_run_config({run::find_shipped("configs/demo/finetune.yaml")},
                              {"run.dir=-", "data.train=-", "model.path=" + base_model.string()});
}

std::vector<Arm> arms_of(double alpha_percent) {
  std::vector<Arm> arms;
  for (const char* strategy : kRefined) {
    arms.push_back({.name = strategy, .refine = {.strategy = strategy, .alpha = config::ScalarOrMap{.scalar = alpha_percent}}});
  }
  arms.push_back({.name = "clean labels", .clean_labels = true});
  return arms;
}

Json by_dimension(const std::vector<std::string>& names, const std::vector<double>& values_and_mean) {
  Json row;
  for (size_t k = 0; k < names.size(); ++k) row[names[k]] = values_and_mean[k];
  row["mean"] = values_and_mean.back();
  return row;
}

Json spearman_of(const eval::EvalResult& result) {
  Json row;
  for (const auto& dimension : result.dimensions) row[dimension.name] = dimension.spearman;
  row["mean"] = result.mean;
  return row;
}

Json auroc_of(const influence::Profile& profile, const fs::path& truth) {
  const core::Tensor corrupted_NK = refine::read_truth(truth, profile);
  const core::Tensor scalar_NK = influence::tracin_scalar(profile.self_influence_NK).unsqueeze(1).expand(profile.self_influence_NK.sizes());
  return {{"self-influence", by_dimension(profile.dimensions, auroc_by_dimension(profile.self_influence_NK, corrupted_NK))},
          {"loss", by_dimension(profile.dimensions, auroc_by_dimension(profile.residual_NK.to(at::kDouble).square(), corrupted_NK))},
          {"scalar TracIn", by_dimension(profile.dimensions, auroc_by_dimension(scalar_NK, corrupted_NK))}};
}

struct Sizes { int64_t videos, test_videos; };
Sizes sizes_of(const DemoOptions& options) {
  const int64_t videos = options.videos > 0 ? options.videos : (options.quick ? 200 : 640);
  return {.videos = videos, .test_videos = std::max<int64_t>(120, videos / 2)};
}

Json run_seed(const DemoOptions& options, const run::RunConfig& training, uint64_t seed, StepTimer& timer, const core::Context& context) {
  const fs::path directory = options.out_dir / ("seed-" + std::to_string(seed));
  const Sizes sizes = sizes_of(options);
  Json result{{"seed", seed}};
  const DataFiles data = timer.run("render " + std::to_string(sizes.videos) + " noisy and " + std::to_string(sizes.test_videos) + " clean clips", [&] {
    return render(directory / "data", {.videos = sizes.videos, .test_videos = sizes.test_videos, .noise = options.noise, .seed = seed}, context);
  });
  SeedRuns runs(directory, seed, training, data);
  result["spearman"]["baseline"] = timer.run("train the baseline on noisy labels", [&] { return spearman_of(runs.train(kBaseline, context)); });
  const influence::Profile& profile = *timer.run("profile the training set", [&] { return &runs.profile(context); });
  result["auroc"] = timer.run("compare with the planted noise", [&] { return auroc_of(profile, data.truth); });
  result["feature_sq_norm_cv"] = influence::loss_similarity(profile, options.alpha_percent).feature_sq_norm_cv;
  for (const Arm& arm : arms_of(options.alpha_percent)) {
    const std::string title = arm.clean_labels ? "train on clean labels: the upper bound" : "refine and train again: " + arm.name;
    result["spearman"][arm.name] = timer.run(title, [&] { return spearman_of(runs.train(arm, context)); });
  }
  return result;
}

// Mean over seeds of every number below `key`.
Json mean_over(const std::vector<Json>& runs, const std::string& key) {
  Json mean = runs.front().at(key);
  for (auto& [row, cells] : mean.items()) {
    for (auto& [column, value] : cells.items()) {
      std::vector<double> values;
      for (const auto& run : runs) values.push_back(run.at(key).at(row).at(column).get<double>());
      value = summarise(values).mean;
    }
  }
  return mean;
}

Json gain_of(const std::vector<Json>& runs, const std::string& arm) {
  const auto means = [&](const std::string& name) {
    std::vector<double> values;
    for (const auto& run : runs) values.push_back(run.at("spearman").at(name).at("mean").get<double>());
    return values;
  };
  const Summary gain = paired_difference(means(arm), means("baseline"));
  const auto bound = [](double x) { return std::isnan(x) ? Json() : Json(x); };
  return {{"mean", gain.mean}, {"low", bound(gain.low)}, {"high", bound(gain.high)}, {"n", gain.n}, {"verdict", verdict(gain)}};
}

}  // namespace

Json demo(const DemoOptions& options, const core::Context& context) {
  const run::RunConfig training = fine_tuning(options.base_model.empty() ? run::find_shipped("configs/demo/base") : options.base_model);
  const auto arms = arms_of(options.alpha_percent);
  Json seconds = Json::object();
  StepTimer timer(seconds, context, (4 + static_cast<int64_t>(arms.size())) * options.seeds);
  std::vector<Json> runs;
  for (int64_t s = 0; s < options.seeds; ++s) runs.push_back(run_seed(options, training, options.seed + static_cast<uint64_t>(s), timer, context));
  Json gains;
  for (const auto& arm : arms) gains[arm.name] = gain_of(runs, arm.name);
  Json document{{"seed", options.seed}, {"seeds", options.seeds}, {"videos", sizes_of(options).videos}, {"noise", options.noise},
                {"alpha_percent", options.alpha_percent}, {"auroc", mean_over(runs, "auroc")}, {"spearman", mean_over(runs, "spearman")},
                {"gain", gains}, {"feature_sq_norm_cv", runs.front().at("feature_sq_norm_cv")}, {"runs", runs},
                {"out", options.out_dir.string()}, {"seconds", seconds}};
  core::write_file_atomic(options.out_dir / "demo.json", document.dump(2) + "\n");
  report::write_document(options.out_dir.string(), "report", demo_report(document));
  return document;
}

}  // namespace mvrm::experiment
