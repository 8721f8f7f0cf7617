// SPDX-License-Identifier: Apache-2.0
// Checkpoints of a run: checkpoints/step-N/{state.safetensors, manifest.json}. A folder appears whole or not at all: files are written to
// a temporary folder and synchronised, the manifest (sizes, hashes) last, then one rename (spec/reliability.md 2.3).
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <mvrm/core/log.h>
#include <mvrm/train/train_state.h>
#include <optional>
#include <string>

namespace mvrm::train {

struct CheckpointInfo {
  int64_t step = 0;                               // optimiser steps taken, skipped ones included
  int64_t updates = 0;                            // those that were not skipped: AdamW's own count
  std::map<std::string, std::string> identity;    // what the run depends on; a resume with another one is refused
};
// All ranks call it; rank 0 writes. Keeps the newest `keep` checkpoints.
void save_checkpoint(const std::filesystem::path& run_dir, const CheckpointInfo& info, const TrainState& state, int64_t keep, dist::Communicator& comm);

// The newest checkpoint below `run_dir` whose manifest verifies; damaged ones are passed over with a log line. nullopt when there is none.
std::optional<std::filesystem::path> newest_checkpoint(const std::filesystem::path& run_dir, const core::Log& log);
// Removes all checkpoints below `run_dir`: a run that starts anew must not be continued from the one before it.
void discard_checkpoints(const std::filesystem::path& run_dir, const core::Log& log);
// Restores `state`. Throws ConfigError naming every difference between the stored and the wanted identity, Error (model) for a bad file.
CheckpointInfo load_checkpoint(const std::filesystem::path& checkpoint, const std::map<std::string, std::string>& identity, TrainState& state, dist::Communicator& comm);

}  // namespace mvrm::train
