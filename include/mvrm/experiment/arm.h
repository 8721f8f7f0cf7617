// SPDX-License-Identifier: Apache-2.0
// Arms of an experiment: the same training with one thing changed. Every run lives below one folder per seed and is made at most once;
// what is there from an earlier, interrupted experiment is used again when its inputs are the same.
#pragma once
#include <filesystem>
#include <mvrm/core/context.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/eval/rank_correlation.h>
#include <mvrm/influence/profile.h>
#include <mvrm/run/run_config.h>
#include <mvrm/synth/synth.h>
#include <optional>
#include <string>
#include <vector>

namespace mvrm::experiment {

struct Arm {
  std::string name;                // also the name of its folder
  run::RefineSection refine = {};  // profile "auto" = the profile of this seed's baseline
  std::string balance = "equal";
  bool balance_at_model_lr = false;   // uncertainty weighting learns its weights at the learning rate of the model, not at its own
  bool clean_labels = false;       // trains on DataFiles::clean
};

// The data of one seed. `clean` and `truth` are empty where nobody knows which labels are wrong.
struct DataFiles {
  std::filesystem::path train, test;
  std::filesystem::path clean;     // the training set before its labels were corrupted
  std::filesystem::path truth;     // docs/files.md: rendered data set
};
// Renders a data set into `directory` (nothing to do when it is there) and writes the clean labels beside the corrupted ones.
DataFiles render(const std::filesystem::path& directory, const synth::SynthConfig& config, const core::Context& context);

// The runs of one seed on one data set. Different arms may be trained at the same time once profile() has returned.
class SeedRuns {
 public:
  // `config`: the training that all arms share; its run.dir, run.seed, data files, refine and balance.strategy are replaced. `comm` must
  // outlive this; nullptr: every run is a world of its own in this process.
  SeedRuns(std::filesystem::path directory, uint64_t seed, run::RunConfig config, DataFiles data, dist::Communicator* comm = nullptr);
  // Trains and evaluates on the test file. Throws Error (stopped) when a signal ended it; a checkpoint is written then.
  eval::EvalResult train(const Arm& arm, const core::Context& context);
  // Of the model that was trained on all labels, with features and influence matrix; trains it when it is not there.
  const influence::Profile& profile(const core::Context& context);
  uint64_t seed() const { return seed_; }
  const DataFiles& data() const { return data_; }
  const std::filesystem::path& directory() const { return directory_; }
  std::filesystem::path directory_of(const Arm& arm) const { return directory_ / arm.name; }

 private:
  std::filesystem::path directory_;
  uint64_t seed_;
  run::RunConfig config_;
  DataFiles data_;
  dist::Communicator* comm_;
  std::optional<influence::Profile> profile_;
};
extern const Arm kBaseline;   // all labels, equal weights

// Area under the ROC curve of a risk table [N, K] against corrupted cells, per dimension, then their mean.
std::vector<double> auroc_by_dimension(const core::Tensor& risk_NK, const core::Tensor& corrupted_NK);

}  // namespace mvrm::experiment
