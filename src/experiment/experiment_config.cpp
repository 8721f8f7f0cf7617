// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <mvrm/config/yaml_reader.h>
#include <mvrm/core/error.h>
#include <mvrm/experiment/experiment_config.h>
#include <mvrm/run/process.h>

namespace mvrm::experiment {

namespace {

// A path that is nowhere stays as it is: whoever reads it says best what is missing.
void find(std::filesystem::path& path) {
  if (path.empty() || path.is_absolute() || std::filesystem::exists(path)) return;
  try {
    path = run::find_shipped(path);
  } catch (const core::Error&) {
  }
}

void check(const ExperimentConfig& config) {
  const auto require = [](bool holds, const std::string& message) {
    if (!holds) throw core::ConfigError("mvrm experiment: " + message);
  };
  require(config.renders() || !config.data.reading.train.empty(), "give data.train and data.test, or render.videos and render.test_videos");
  require(!config.renders() || config.data.reading.train.empty(), "render.videos and data.train are both given; leave one out");
  require(!config.renders() || config.render.test_videos >= 10, "render.test_videos: at least 10 clips are needed to measure anything");
  require(config.renders() || !config.data.reading.test.empty(), "data.test: on which clips are the methods measured?");
  require(config.data.pairs.empty() == config.data.votes.empty(), "data.pairs and data.votes go together");
  for (const auto* grid : {&config.experiment.alphas, &config.experiment.taus}) {
    require(!grid->empty() && std::is_sorted(grid->begin(), grid->end()) && std::adjacent_find(grid->begin(), grid->end()) == grid->end(),
            "experiment.alphas and experiment.taus: rising numbers, at least one");
  }
  require(config.experiment.alphas.back() <= 100 && config.experiment.alpha <= 100, "experiment.alpha, alphas: at most 100 percent");
}

}  // namespace

ExperimentConfig load_experiment_config(const std::vector<std::filesystem::path>& files, const std::vector<std::string>& overrides) {
  ExperimentConfig config;
  config::read(config::load(files, overrides), config);
  check(config);
  for (auto* path : {&config.training.model.path, &config.backbone.model, &config.backbone.init}) find(*path);
  return config;
}

void make_quick(ExperimentConfig& config) {
  config.experiment.seeds = std::min<int64_t>(config.experiment.seeds, 2);
  config.render.videos = std::min<int64_t>(config.render.videos, 96);
  config.render.test_videos = std::min<int64_t>(config.render.test_videos, 80);
  config.render.pairs = std::min<int64_t>(config.render.pairs, 40);
  config.backbone.videos = std::min<int64_t>(config.backbone.videos, 160);
  config.backbone.steps = std::min<int64_t>(config.backbone.steps, 40);
  auto& train = config.training.training.train;
  constexpr int64_t kEpochs = 4, kSteps = 24;
  train.epochs = std::min(train.epochs, kEpochs);
  train.max_steps = train.max_steps > 0 ? std::min(train.max_steps, kSteps) : kSteps;
}

}  // namespace mvrm::experiment
