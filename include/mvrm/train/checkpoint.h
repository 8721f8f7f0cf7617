// SPDX-License-Identifier: Apache-2.0
// Checkpoints of a run: checkpoints/step-N/{state-RANK-of-RANKS.safetensors, manifest.json}. A folder appears whole or not at all: every
// rank writes and synchronises its part in a temporary folder, then rank 0 the manifest (sizes, hashes), then one rename
// (spec/reliability.md 2.3). Written in the background; loadable on another number of ranks.
#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <map>
#include <mvrm/core/log.h>
#include <mvrm/train/train_state.h>
#include <optional>
#include <string>
#include <thread>

namespace mvrm::train {

struct CheckpointInfo {
  int64_t step = 0;                               // optimiser steps taken, skipped ones included
  int64_t updates = 0;                            // those that were not skipped: AdamW's own count
  int64_t not_finite_in_a_row = 0;                // the latest steps, skipped for that
  std::map<std::string, std::string> identity;    // what the run depends on; a resume with another one is refused
  core::Tensor balance;                           // Balancer::state()
};

// One a rank and run. All ranks call the same functions in the same order.
class CheckpointWriter {
 public:
  CheckpointWriter(std::filesystem::path run_dir, int64_t keep, dist::Communicator& comm);
  ~CheckpointWriter();   // abandons what is under way
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;
  // Where the checkpoint of a step lies until it is whole; what is put there before save() appears with it.
  static std::filesystem::path folder_under_way(const std::filesystem::path& run_dir, int64_t step);
  // Copies the state and returns; files are written meanwhile. Waits for the save before. Without room for all parts: Error (io) on all ranks.
  void save(const CheckpointInfo& info, const TrainState& state);
  // Throws what went wrong in the background, if anything did (Error (io) with the path). No collective.
  void check();
  // Waits until the checkpoint under way is whole on every rank.
  void finish();
  // finish(), then removes what a failed removal left. No save() may follow: other ranks could be writing already.
  void close();

 private:
  void write(const CheckpointInfo& info, const core::NamedTensors& parts);
  void commit(const CheckpointInfo& info, const std::filesystem::path& temporary);
  std::filesystem::path run_dir_;
  int64_t keep_;
  dist::Communicator& comm_;
  std::thread thread_;
  std::atomic<bool> done_{true}, abandoned_{false};
  std::exception_ptr error_;   // written before done_
};

// The newest checkpoint below `run_dir` whose manifest verifies; damaged ones are passed over with a log line. nullopt when there is none.
std::optional<std::filesystem::path> newest_checkpoint(const std::filesystem::path& run_dir, const core::Log& log);
// Throws Error (model) naming the file that is missing, damaged or no checkpoint's. Reads all of it.
void verify_checkpoint(const std::filesystem::path& checkpoint);
// Removes all checkpoints below `run_dir`: a run that starts anew must not be continued from the one before it.
void discard_checkpoints(const std::filesystem::path& run_dir, const core::Log& log);
// Removes what a killed run left half-written.
void clean_checkpoints(const std::filesystem::path& run_dir);
// Removes all but `keep` checkpoints, provided that `newest`, which is known to be whole, is the newest.
void prune_checkpoints(const std::filesystem::path& run_dir, const std::filesystem::path& newest, int64_t keep);
// Restores `state`. Throws ConfigError naming every difference between the stored and the wanted identity, Error (model) for a bad file.
CheckpointInfo load_checkpoint(const std::filesystem::path& checkpoint, const std::map<std::string, std::string>& identity, TrainState& state, dist::Communicator& comm);

}  // namespace mvrm::train
