// SPDX-License-Identifier: Apache-2.0
// The runs of an experiment, group by group and seed by seed: where they live, what they share, and what they left behind.
#pragma once
#include <map>
#include <mutex>
#include <mvrm/eval/pairwise_accuracy.h>
#include <mvrm/eval/predictions.h>
#include <mvrm/experiment/arm.h>
#include <mvrm/experiment/experiment_config.h>
#include <string>
#include <vector>

namespace mvrm::experiment {

// Runs that share model and data. `main`: the configuration as it stands. `backbone`: another model to start from. `same_data`: every seed
// trains on the first seed's data. `planted`: labels corrupted on purpose, where nobody knows which ones are wrong.
enum class Group { main, backbone, same_data, planted };
std::string name_of(Group group);

class Study {
 public:
  // `comm` as for SeedRuns.
  Study(const ExperimentConfig& config, std::filesystem::path directory, dist::Communicator* comm);
  const ExperimentConfig& config() const { return config_; }
  const std::filesystem::path& directory() const { return directory_; }
  dist::Communicator* comm() const { return comm_; }   // nullptr: every step is a world of its own
  int64_t seeds() const { return config_.experiment.seeds; }
  SeedRuns& runs(Group group, int64_t seed) { return groups_.at(resolved(group, seed)).at(static_cast<size_t>(seed)); }
  const SeedRuns& runs(Group group, int64_t seed) const { return groups_.at(resolved(group, seed)).at(static_cast<size_t>(seed)); }
  // Runs of `same_data` that are those of `main` anyway.
  Group resolved(Group group, int64_t seed) const;
  std::filesystem::path backbone_model() const;
  std::filesystem::path pairs_directory(int64_t seed) const;   // rendered pairs

  // What finished steps left. Thread-safe.
  const eval::Predictions& test_rewards(Group group, int64_t seed, const Arm& arm);
  const influence::Profile& profile(Group group, int64_t seed);
  std::filesystem::path pair_rewards_file(int64_t seed, const Arm& arm) const { return runs(Group::main, seed).directory_of(arm) / "pairs.jsonl"; }

 private:
  ExperimentConfig config_;
  std::filesystem::path directory_;
  dist::Communicator* comm_;
  std::map<Group, std::vector<SeedRuns>> groups_;
  std::mutex mutex_;   // of what has been read back
  std::map<std::filesystem::path, eval::Predictions> rewards_;
  std::map<std::filesystem::path, influence::Profile> profiles_;
};

// Arms as every suite names them, so that no run is made twice.
Arm pruning_arm(const std::string& strategy, double alpha_percent, const std::string& budget = "alpha");
Arm reweighting_arm(const std::string& strategy, double tau);
Arm pruning_and_reweighting_arm(double alpha_percent, double tau);
Arm balancing_arm(const std::string& strategy);
std::string text_of(double number);   // as short as possible: "0.5", "5"

}  // namespace mvrm::experiment
