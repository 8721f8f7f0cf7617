// SPDX-License-Identifier: Apache-2.0
// tests/train/ranks.h's jobs over Gloo, a process a rank.
#pragma once
#include <mvrm/core/safetensors.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/forked.h"
#include "tests/support/loopback.h"
#include "tests/train/ranks.h"

namespace mvrm::test {

// What a rank's process does; its parameters go to `file`. 0, or 1 with the error on stderr.
inline int work_as_rank(const TinyRun& run, const train::Samples& samples, const dist::WorldConfig& world, const std::filesystem::path& file) {
  after_fork();
  try {
    const auto comm = dist::connect(world);
    model::RewardModel model = tiny_model(run.dtype);
    const train::TrainJob job{.config = run.config, .run_dir = run.dir, .processor_dir = {}, .resume = run.resume};
    train::run_training(model, samples, job, *comm, {});
    core::NamedTensors named;
    for (const auto& [name, value] : parameters_of(model)) named.emplace_back(name, value);
    core::write_safetensors(file, named);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %lld: %s\n", static_cast<long long>(world.rank), error.what());
    return 1;
  }
}

// As run_tiny(), but the ranks are processes. They fork from here: nothing may run on other threads meanwhile.
inline Weights run_tiny_processes(const TinyRun& run, const train::Samples& samples) {
  std::filesystem::create_directories(run.dir);
  const auto [listening, port] = listen_on_loopback();
  const auto file_of = [&](int64_t rank) { return run.dir / ("rank-" + std::to_string(rank) + ".safetensors"); };
  std::vector<pid_t> children;
  for (int64_t rank = 0; rank < run.ranks; ++rank) {
    const dist::WorldConfig world{.rank = rank, .size = run.ranks, .local_rank = rank, .master_port = port, .listen_fd = rank == 0 ? listening : -1, .timeout_seconds = 60};
    const pid_t child = ::fork();
    if (child == 0) ::_exit(work_as_rank(run, samples, world, file_of(rank)));
    children.push_back(child);
  }
  ::close(listening);
  int failed = 0;
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    failed += status != 0 ? 1 : 0;
  }
  MVRM_CHECK(failed == 0, failed, " of ", run.ranks, " processes failed");
  std::vector<Weights> found;
  for (int64_t rank = 0; rank < run.ranks; ++rank) {
    const auto file = core::SafetensorsFile::open(file_of(rank));
    Weights& weights = found.emplace_back();
    for (const auto& info : file.tensors()) weights[info.name] = file.tensor(info.name).clone();
    MVRM_CHECK(same_bits(weights, found.front()), "rank ", rank, " ends with other weights than rank 0");
  }
  return found.front();
}

}  // namespace mvrm::test
