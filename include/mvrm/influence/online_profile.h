// SPDX-License-Identifier: Apache-2.0
// The profile that a training run leaves behind without a forward pass of its own: what the training forward saw of every sample just before
// the step that used it. A sample seen once is judged by a model that never saw its label, and learning rate * r^2 * ||h||^2 at that step is
// TracIn's self-influence itself, not its sum over a few checkpoints. Not here: the hook that hands the numbers out (train/loop.h).
#pragma once
#include <filesystem>
#include <mvrm/core/context.h>
#include <mvrm/influence/profile.h>
#include <string>
#include <vector>

namespace mvrm::influence {

// One sample of one step: a row of the profile, K rewards and ||h||^2 before the step.
struct OnlineVisit {
  int64_t row = 0;
  std::vector<double> reward_K;
  double feature_sq_norm = 0;
};

// A log of visits in `directory`/visits.jsonl, a line a step, behind a line with `identity`; the profile is made from it at the end. So a run
// that goes back to a checkpoint, in the same process or another, only cuts the log. One owner (rank 0); not thread-safe.
class OnlineProfile {
 public:
  // `rows`: ids, prompts, dimensions, label_NK as training uses them, hashes and reading. A log of another identity is thrown away; a last line
  // that was cut is too.
  OnlineProfile(std::filesystem::path directory, Profile rows, const std::string& identity, core::Log log);
  ~OnlineProfile();
  OnlineProfile(const OnlineProfile&) = delete;
  OnlineProfile& operator=(const OnlineProfile&) = delete;

  // A step that is in the log already takes the place of that one and of all behind it. Visits that are not finite are left out. Warns once when
  // steps are missing before `step`. Throws Error (io).
  void add(int64_t step, double learning_rate, const std::vector<OnlineVisit>& visits);
  void sync() const;   // survives a power failure from here on
  int64_t last_step() const { return steps_.empty() ? 0 : steps_.back().step; }

  // Writes the profile into `directory` and gives it. self_influence = sum over visits of learning rate * r^2 * ||h||^2; reward, residual and
  // ||h||^2 are those of the last visit; running_loss is the running mean of r^2 of the dimension (of steps, decay 0.99, from the start without
  // bias) when that visit came. Rows without a visit are not done and have no labels.
  Profile finish() const;

 private:
  struct Place {
    int64_t step = 0;
    uint64_t begin = 0;   // of its line
  };
  void read_log(const std::string& identity);
  std::filesystem::path directory_, path_;
  Profile rows_;
  core::Log log_;
  int descriptor_ = -1;
  uint64_t end_ = 0;
  std::vector<Place> steps_;
  bool warned_ = false;
};

}  // namespace mvrm::influence
