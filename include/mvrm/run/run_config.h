// SPDX-License-Identifier: Apache-2.0
// The whole configuration of a training run: each stage's struct under its key, described once (docs/config.md is generated from here).
#pragma once
#include <cstdint>
#include <filesystem>
#include <mvrm/config/fields.h>
#include <mvrm/train/train_config.h>
#include <string>
#include <vector>

namespace mvrm::run {

struct RunSection { std::filesystem::path dir; uint64_t seed = 42; bool deterministic = true; };
struct ModelSection { std::filesystem::path path; std::string dtype = "f32", init = "checkpoint"; };
struct DataSection {
  std::filesystem::path train, validation, test;
  std::string sampling = "all";
  int64_t max_frames = 16, max_bad_samples = 0, batch = 8;
  std::string workers = "auto";
  std::filesystem::path cache;
  double cache_gib = 100;
};
struct RefineSection {
  std::string strategy = "none";
  config::ScalarOrMap alpha{.scalar = 0.5};
  double tau = 1.0, fdr = 0.1;
  std::string budget = "alpha", profile = "auto";
  std::filesystem::path corrections, plan;
};
struct EvalSection { std::filesystem::path data; int64_t every = 0; };
struct LogSection { int64_t every = 1; bool tensorboard = false; };

struct RunConfig {
  RunSection run;
  ModelSection model;
  DataSection data;
  RefineSection refine;
  train::TrainConfig training;     // keys balance, train, optimizer, schedule, dist, checkpoint
  EvalSection eval;
  LogSection log;
};

template <class Visitor> void describe(Visitor& v, RunSection& c) {
  v("dir", c.dir, "run directory: everything the run writes", config::required);
  v("seed", c.seed, "seed of the data order and of a fresh score head");
  v("deterministic", c.deterministic, "same seed, same bytes, on GPUs too: torch takes only algorithms that repeat themselves (docs/cuda.md); false lets it choose faster ones. On CPUs it is always so");
}
template <class Visitor> void describe(Visitor& v, ModelSection& c) {
  v("path", c.path, "Hugging Face directory to start from", config::required);
  v("dtype", c.dtype, "dtype of weights and activations", config::one_of({"f32", "bf16"}));
  v("init", c.init, "checkpoint: the weights in model.path; random: only its config.json, weights drawn from run.seed",
    config::one_of({"checkpoint", "random"}));
}
template <class Visitor> void describe(Visitor& v, DataSection& c) {
  v("train", c.train, "training data file (.json, .jsonl)", config::required);
  v("validation", c.validation, "validation data file");
  v("test", c.test, "test data file, evaluated at the end unless eval.data is set");
  v("sampling", c.sampling, "which frames of a clip are used", config::one_of({"all", "linspace", "stride"}));
  v("max_frames", c.max_frames, "upper bound of linspace and stride", config::at_least(1));
  v("max_bad_samples", c.max_bad_samples, "bad samples that are skipped before the run ends with status 3", config::at_least(0));
  v("batch", c.batch, "clips of one shape that share a forward pass where nothing is trained; fewer need less memory", config::at_least(1));
  v("workers", c.workers, "worker threads of this process: auto or a number");
  v("cache", c.cache, "folder that keeps decoded and resized frames for later epochs and runs, on one machine or shared; empty: none");
  v("cache_gib", c.cache_gib, "most that this folder holds, in GiB (a clip of 16 frames takes about 9 MB)", config::positive);
}
template <class Visitor> void describe(Visitor& v, RefineSection& c) {
  v("strategy", c.strategy, "refinement strategy, see mvrm refine --help");
  v("alpha", c.alpha, "percent of labels per dimension: a number, one per dimension name, auto or paper_best");
  v("tau", c.tau, "temperature of reweighting", config::positive);
  v("fdr", c.fdr, "false discovery rate of alpha: auto", config::positive);
  v("budget", c.budget, "how many samples go: alpha, or match_union (as many as ddp removes)", config::one_of({"alpha", "match_union"}));
  v("profile", c.profile, "auto (baseline run and profile are made below run.dir) or a profile directory");
  v("corrections", c.corrections, "a corrections file, for the strategy correction");
  v("plan", c.plan, "a plan file; replaces strategy and profile");
}
template <class Visitor> void describe(Visitor& v, EvalSection& c) {
  v("data", c.data, "data file for Spearman per dimension at the end of the run");
  v("every", c.every, "evaluate every so many optimiser steps (0 = at the end only)", config::at_least(0));
}
template <class Visitor> void describe(Visitor& v, LogSection& c) {
  v("every", c.every, "a line in metrics.jsonl every so many steps", config::at_least(1));
  v("tensorboard", c.tensorboard, "write the same numbers as TensorBoard event files into the run directory");
}
template <class Visitor> void describe(Visitor& v, RunConfig& c) {
  v.group("run", c.run, "the run");
  v.group("model", c.model, "the model to start from");
  v.group("data", c.data, "data files and frame sampling");
  v.group("refine", c.refine, "how the profile becomes a plan");
  v.group("balance", c.training.balance, "balancing of dimensions");
  v.group("train", c.training.train, "length of training");
  v.group("optimizer", c.training.optimizer, "AdamW");
  v.group("schedule", c.training.schedule, "learning rate over steps");
  v.group("dist", c.training.dist, "ranks");
  v.group("checkpoint", c.training.checkpoint, "checkpoints");
  v.group("eval", c.eval, "evaluation");
  v.group("log", c.log, "logging");
}

// The only reader of configuration files: merges `files` left to right, then `overrides` ("key.path=value").
// Relative paths inside a file are relative to the working directory. Throws ConfigError "file:line:col: key.path: …".
RunConfig load_run_config(const std::vector<std::filesystem::path>& files, const std::vector<std::string>& overrides);
// alpha in percent in the order of `dimensions`; the word paper_best gives the paper's. Throws ConfigError for an unknown dimension name or
// word; "auto" is none here, because it needs a profile (refine_run.h).
std::vector<double> alpha_percent(const config::ScalarOrMap& alpha, const std::vector<std::string>& dimensions);

}  // namespace mvrm::run
