// SPDX-License-Identifier: Apache-2.0
// The configuration of `mvrm experiment`: one training recipe, the data it is tried on, and the grids of the suites.
#pragma once
#include <cstdint>
#include <filesystem>
#include <mvrm/config/fields.h>
#include <mvrm/refine/noise.h>
#include <mvrm/run/run_config.h>
#include <string>
#include <vector>

namespace mvrm::experiment {

struct ExperimentSection {
  uint64_t seed = 42;
  int64_t seeds = 5;
  double alpha = 0.5, tau = 1;
  std::vector<double> alphas{0.1, 0.5, 1, 2, 5}, taus{0.1, 0.5, 1, 2, 5};
  double noise = 0.1;
  std::string noise_kind = "uniform_other";
  std::string correct_dimension = "text-to-video alignment";
  double correct_percent = 1;
  std::filesystem::path corrections;
  int64_t resamples = 1000;
};
// Clips that are made instead of read.
struct RenderSection {
  int64_t videos = 0, test_videos = 0, pairs = 0;
  double noise = 0.1;
};
struct DataFilesSection {
  run::DataSection reading;                       // train, test and how clips are read
  std::filesystem::path clean, truth, pairs, votes;
};
struct BackboneSection {
  std::filesystem::path model, init;
  int64_t videos = 0, steps = 0;
  double lr = 1e-3;
};

struct ExperimentConfig {
  ExperimentSection experiment;
  RenderSection render;
  DataFilesSection data;
  BackboneSection backbone;
  run::RunConfig training;                        // model, balance, train, optimizer, schedule, dist, checkpoint; the rest is the suites'

  bool renders() const { return render.videos > 0; }
};

template <class Visitor> void describe(Visitor& v, ExperimentSection& c) {
  v("seed", c.seed, "first seed");
  v("seeds", c.seeds, "repetitions, with seed, seed + 1, …; intervals need at least 2", config::in_range(1, 1000));
  v("alpha", c.alpha, "percent of the labels of each dimension that pruning selects, outside of suite alpha", config::positive);
  v("tau", c.tau, "temperature of reweighting, outside of suite tau", config::positive);
  v("alphas", c.alphas, "what suite alpha tries", config::positive);
  v("taus", c.taus, "what suite tau tries", config::positive);
  v("noise", c.noise, "share of labels that suite noise plants in each dimension where data.truth is unknown", config::in_range(0.001, 0.5));
  v("noise_kind", c.noise_kind, "how labels are corrupted there", config::one_of({"uniform_other", "uniform_any", "strict", "farthest", "reversed", "adjacent"}));
  v("correct_dimension", c.correct_dimension, "suite correction: whose riskiest labels are looked at again");
  v("correct_percent", c.correct_percent, "suite correction: percent of its labels", config::positive);
  v("corrections", c.corrections, "suite correction: what people found; without it the labels are taken from data.truth");
  v("resamples", c.resamples, "bootstrap resamples over test clips", config::at_least(100));
}
template <class Visitor> void describe(Visitor& v, RenderSection& c) {
  v("videos", c.videos, "training clips rendered for each seed (0: the files of `data` are read)", config::at_least(0));
  v("test_videos", c.test_videos, "clean test clips", config::at_least(0));
  v("pairs", c.pairs, "suite genai-bench: pairs of clips in another size, length and palette", config::at_least(0));
  v("noise", c.noise, "share of wrong training labels in each dimension", config::in_range(0, 0.5));
}
template <class Visitor> void describe(Visitor& v, DataFilesSection& c) {
  v("train", c.reading.train, "training data file, in any layout that mvrm reads");
  v("test", c.reading.test, "data file on which every method is measured");
  v("clean", c.clean, "the training set with the right labels, where they are known");
  v("truth", c.truth, "which training labels are wrong (docs/files.md: rendered data set), where that is known");
  v("pairs", c.pairs, "suite genai-bench: data file of the clips");
  v("votes", c.votes, "suite genai-bench: what people preferred");
  v("sampling", c.reading.sampling, "which frames of a clip are used", config::one_of({"all", "linspace", "stride"}));
  v("max_frames", c.reading.max_frames, "upper bound of linspace and stride", config::at_least(1));
  v("max_bad_samples", c.reading.max_bad_samples, "bad samples that are skipped before a run ends with status 3", config::at_least(0));
  v("batch", c.reading.batch, "clips of one shape that share a forward pass where nothing is trained", config::at_least(1));
  v("cache", c.reading.cache, "folder for intermediate files (unused when empty)");
}
template <class Visitor> void describe(Visitor& v, BackboneSection& c) {
  v("model", c.model, "suite backbone: the second model to start from; or it is trained first:");
  v("init", c.init, "its config.json, vocabulary and processor");
  v("videos", c.videos, "rendered clean clips it is trained on", config::at_least(0));
  v("steps", c.steps, "optimiser steps", config::at_least(0));
  v("lr", c.lr, "learning rate", config::positive);
}
template <class Visitor> void describe(Visitor& v, ExperimentConfig& c) {
  v.group("experiment", c.experiment, "repetitions and grids");
  v.group("render", c.render, "rendered data");
  v.group("data", c.data, "data files");
  v.group("backbone", c.backbone, "the second backbone");
  v.group("model", c.training.model, "model to start from");
  v.group("balance", c.training.training.balance, "balancing of dimensions; its strategy is the suites' business");
  v.group("train", c.training.training.train, "length of training");
  v.group("optimizer", c.training.training.optimizer, "AdamW");
  v.group("schedule", c.training.training.schedule, "learning rate over steps");
  v.group("dist", c.training.training.dist, "ranks");
  v.group("checkpoint", c.training.training.checkpoint, "checkpoints");
}

// Throws ConfigError: also when neither files nor clips to render are given, or both. Paths that aren't below the working directory are
// looked for where the program's own files are.
ExperimentConfig load_experiment_config(const std::vector<std::filesystem::path>& files, const std::vector<std::string>& overrides);
// Two seeds, fewer clips and steps: whether everything runs, not what is true.
void make_quick(ExperimentConfig& config);

}  // namespace mvrm::experiment
