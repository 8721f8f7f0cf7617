// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <mvrm/core/error.h>
#include <mvrm/run/process.h>
#include <thread>
#include <vector>

namespace mvrm::run {

namespace fs = std::filesystem;

namespace {

int64_t worker_count(const std::string& workers, int64_t local_ranks) {
  if (workers == "auto") return std::max<int64_t>(1, static_cast<int64_t>(std::thread::hardware_concurrency()) / local_ranks);
  int64_t count = 0;
  const auto [end, error] = std::from_chars(workers.data(), workers.data() + workers.size(), count);
  if (error != std::errc{} || end != workers.data() + workers.size() || count < 1 || count > 1024) {
    throw core::ConfigError("data.workers: must be auto or a number from 1 to 1024, got '" + workers + "'");
  }
  return count;
}

}  // namespace

core::Context make_context(const ProcessOptions& options) {
  at::set_num_threads(1);
  at::globalContext().setDeterministicAlgorithms(options.deterministic, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);   // nothing here reads what was not written
  at::globalContext().setSDPUseCuDNN(!options.deterministic);          // its backward pass adds up in any order
  at::globalContext().setBenchmarkCuDNN(false);                        // which algorithm wins would depend on the moment
  core::Context context;
  context.seed = options.seed;
  context.threads = worker_count(options.workers, options.local_ranks);
  context.show_progress = !options.quiet && options.rank == 0;
  if (!options.quiet) context.log = core::Log::to_stderr(options.local_ranks > 1 ? "rank " + std::to_string(options.rank) + ": " : "");
  return context;
}

void use_all_cores() { at::set_num_threads(std::max(1, static_cast<int>(std::thread::hardware_concurrency()))); }
AllCores::AllCores() : before_(at::get_num_threads()) { use_all_cores(); }
AllCores::~AllCores() { at::set_num_threads(before_); }

fs::path find_shipped(const fs::path& relative) {
  std::vector<fs::path> roots;
  if (const char* home = std::getenv("MVRM_HOME")) roots.emplace_back(home);
  std::error_code ignored;
  fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  roots.push_back(folder / "../share/mvrm");
  for (; !folder.empty() && folder != folder.root_path(); folder = folder.parent_path()) roots.push_back(folder);
  for (const auto& root : roots) {
    if (fs::exists(root / relative, ignored)) return (root / relative).lexically_normal();
  }
  throw core::io_error(relative.string() + ": not found in MVRM_HOME, above the program or in ../share/mvrm; set MVRM_HOME to the folder of the sources");
}

}  // namespace mvrm::run
