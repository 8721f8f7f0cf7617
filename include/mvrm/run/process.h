// SPDX-License-Identifier: Apache-2.0
// What a process sets up once before it works: threads, torch's globals, log, progress. Only commands call this.
#pragma once
#include <filesystem>
#include <mvrm/core/context.h>
#include <string>

namespace mvrm::run {

struct ProcessOptions {
  uint64_t seed = 42;
  std::string workers = "auto";      // auto = cores / ranks on this machine
  int64_t local_ranks = 1, rank = 0;
  bool quiet = false;                // warnings and errors only, no progress
  bool deterministic = true;         // torch takes only algorithms that repeat themselves, and throws where there is none
};
// Sets torch to one intra-op thread (small models are parallel over samples, spec/training.md 5.5) and gives the context.
core::Context make_context(const ProcessOptions& options);
// Lets torch's matrix products use every core from here on: for commands that do algebra on one table instead of many small samples.
void use_all_cores();
// The same while it lives, for a step between others: what trains behind it must not run on more threads than it would alone, because sums
// would be cut otherwise.
class AllCores {
 public:
  AllCores();
  ~AllCores();
  AllCores(const AllCores&) = delete;
  AllCores& operator=(const AllCores&) = delete;

 private:
  int before_;
};

// A file that ships with the program (e.g. "configs/demo/base"): looked for in MVRM_HOME, then beside and above the executable,
// then in ../share/mvrm. Throws Error (io) listing where it looked.
std::filesystem::path find_shipped(const std::filesystem::path& relative);

}  // namespace mvrm::run
