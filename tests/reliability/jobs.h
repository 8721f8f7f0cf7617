// SPDX-License-Identifier: Apache-2.0
// Tiny training and profiling jobs as forked processes, with faults at chosen calls: no start of a program, so thousands are affordable.
#pragma once
#include <ATen/Parallel.h>
#include <csignal>
#include <functional>
#include <mvrm/core/error.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/run/profile_run.h>
#include <mvrm/run/train_run.h>
#include <set>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/support/fault_shim.h"
#include "tests/support/forked.h"
#include "tests/support/loopback.h"
#include "tests/support/program.h"
#include "tests/support/tiny_model_dir.h"

namespace mvrm::test {

namespace fs = std::filesystem;

inline constexpr int kMostRanks = 4;

// A model of six thousand parameters and data for it, below `folder`.
struct TinyJobFiles {
  fs::path model, data;
  explicit TinyJobFiles(const fs::path& folder, int64_t samples = 12) : model(folder / "model"), data(folder / "data.jsonl") {
    write_tiny_model_dir(model);
    write_data(data, folder, samples);
  }
  static void write_data(const fs::path& file, const fs::path& folder, int64_t samples) {
    std::ofstream rows(file);
    for (const auto& sample : tiny_manifest(folder, samples).samples) {
      nlohmann::ordered_json labels, images;
      for (size_t k = 0; k < sample.label_K.size(); ++k)
        if (!std::isnan(sample.label_K[k])) labels[tiny_config(2).dimensions[k]] = static_cast<int>(sample.label_K[k]);
      for (const auto& image : sample.images) images.push_back(image.filename().string());
      rows << nlohmann::ordered_json{{"id", sample.id}, {"images", images}, {"prompt", sample.prompt}, {"labels", labels}}.dump() << "\n";
    }
  }
};

// Ranks as processes in a group of their own. Plans lie in shared memory: what the shim counted outlives them.
class Ranks {
 public:
  explicit Ranks(int64_t size) : size_(size) {
    plans_ = static_cast<FaultPlan*>(::mmap(nullptr, sizeof(FaultPlan) * kMostRanks, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    for (int r = 0; r < kMostRanks; ++r) new (&plans_[r]) FaultPlan;
  }
  ~Ranks() { ::munmap(plans_, sizeof(FaultPlan) * kMostRanks); }
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;
  FaultPlan& plan(int64_t rank) { return plans_[rank]; }
  // The text of a rank's error, "" without one.
  const std::string& said(size_t rank) const { return said_[rank]; }

  using Body = std::function<int(dist::Communicator&)>;
  // Runs `body` on every rank; calls below `folder` count. Exit statuses by rank: 0, the error's, or 128 + signal. The lowest non-zero
  // one is what the launcher would say.
  // `meanwhile` gets the process ids while they work.
  std::vector<int> run(const fs::path& folder, const Body& body, double timeout = 30, const std::function<void(const std::vector<pid_t>&)>& meanwhile = {}) {
    const auto [listening, port] = listen_on_loopback();
    std::vector<std::array<int, 2>> words(static_cast<size_t>(size_));
    std::array<int, 2> go{};
    if (::pipe(go.data()) != 0) throw std::runtime_error("pipe");
    std::vector<pid_t> children;
    for (int64_t r = 0; r < size_; ++r) {
      if (::pipe(words[static_cast<size_t>(r)].data()) != 0) throw std::runtime_error("pipe");
      const pid_t child = ::fork();
      if (child == 0) become_rank(r, folder, body, {.rank = r, .size = size_, .local_rank = r, .master_port = port, .listen_fd = r == 0 ? listening : -1,
                                                    .timeout_seconds = timeout}, go[0], words[static_cast<size_t>(r)][1]);
      ::setpgid(child, children.empty() ? child : children.front());
      children.push_back(child);
      ::close(words[static_cast<size_t>(r)][1]);
    }
    ::close(listening);
    static_cast<void>(!::write(go[1], "go!!", static_cast<size_t>(size_)));
    ::close(go[0]);
    ::close(go[1]);
    if (meanwhile) meanwhile(children);
    std::vector<int> statuses;
    said_.assign(static_cast<size_t>(size_), "");
    for (size_t r = 0; r < children.size(); ++r) {
      char buffer[4096];
      for (ssize_t got; (got = ::read(words[r][0], buffer, sizeof buffer)) > 0;) said_[r].append(buffer, static_cast<size_t>(got));
      ::close(words[r][0]);
      int raw = 0;
      ::waitpid(children[r], &raw, 0);
      statuses.push_back(WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw));
    }
    return statuses;
  }

 private:
  [[noreturn]] void become_rank(int64_t rank, const fs::path& folder, const Body& body, const dist::WorldConfig& world, int go, int words) {
    after_fork();
    char byte = 0;
    static_cast<void>(!::read(go, &byte, 1));   // until all ranks are in the group
    int status = 0;
    std::string said;
    try {
      const auto comm = dist::connect(world);
      std::strncpy(plans_[rank].folder, folder.c_str(), sizeof plans_[rank].folder - 1);
      mvrm_fault_arm(&plans_[rank]);
      status = body(*comm);
    } catch (const core::Error& error) {
      said = error.what();
      status = static_cast<int>(error.status());
    } catch (const fs::filesystem_error& error) {   // as apps/mvrm/main.cpp has it
      said = error.what();
      status = static_cast<int>(core::ExitStatus::io);
    } catch (const std::exception& error) {
      said = error.what();
      status = static_cast<int>(core::ExitStatus::failed);
    }
    mvrm_fault_arm(nullptr);
    static_cast<void>(!::write(words, said.data(), said.size()));
    ::_exit(status);
  }

  int64_t size_;
  FaultPlan* plans_;
  std::vector<std::string> said_;
};

// Seven steps with checkpoints at 2, 4 and 6, of which the newest is kept.
inline run::RunConfig tiny_run_config(const TinyJobFiles& files, const fs::path& dir) {
  run::RunConfig config;
  config.run = {.dir = dir, .seed = 3};
  config.model.path = files.model;
  config.data.train = files.data;
  config.training.train = {.epochs = 9, .batch = 4, .micro_batch = 1, .max_steps = 7};
  config.training.optimizer.lr = 3e-3;
  config.training.checkpoint = {.every = 2, .keep = 1};
  return config;
}
inline Ranks::Body train_body(const run::RunConfig& config) {
  return [config](dist::Communicator& comm) {
    const run::TrainOutcome outcome = run::train_run(config, "auto", comm, {});
    return outcome.stopped_by_signal ? static_cast<int>(core::ExitStatus::stopped) : 0;
  };
}
inline run::ProfileRunOptions profile_options(const TinyJobFiles& files, const fs::path& model, const fs::path& dir) {
  return {.model_dir = model, .data_file = files.data, .out_dir = dir, .from_dir = {}, .labels_file = {}, .head_dir = {}, .data = {},
          .dtype = "f32", .features = "f32", .space = {}, .estimator = "closed_form", .checkpoints = {}};
}
inline Ranks::Body profile_body(const TinyJobFiles& files, const fs::path& dir) {
  return [files, dir](dist::Communicator& comm) {
    run::profile_run(profile_options(files, files.model, dir), comm, {});
    return 0;
  };
}

// All of them where MVRM_CRASH_SWEEP is "all", those from the A-th to the B-th where it is "A-B", else `wanted`, evenly spread.
template <class Item> std::vector<Item> spread(const std::vector<Item>& all, size_t wanted) {
  const char* sweep = std::getenv("MVRM_CRASH_SWEEP");
  if ((sweep != nullptr && std::string(sweep) == "all") || all.size() <= wanted) return all;
  std::vector<Item> some;
  if (size_t first = 0, last = 0; sweep != nullptr && std::sscanf(sweep, "%zu-%zu", &first, &last) == 2) {
    for (size_t i = std::max<size_t>(first, 1); i <= std::min(last, all.size()); ++i) some.push_back(all[i - 1]);
    return some;
  }
  for (size_t i = 0; i < wanted; ++i) some.push_back(all[i * (all.size() - 1) / (wanted - 1)]);
  return some;
}

// What a process does only once (kernels that are chosen at their first use take a second) is done before it forks.
inline bool warm_up(const TinyJobFiles& files, const fs::path& dir) {
  at::set_num_threads(1);
  const auto alone = dist::make_single();
  train_body(tiny_run_config(files, dir))(*alone);
  profile_body(files, dir / "profile")(*alone);
  return true;
}

// Everything below a run or profile directory that must not depend on what happened on the way: bytes by relative path. Of metrics.jsonl,
// what isn't a time, a speed or a size of memory, and no traffic (a resume may have other ranks); log.txt and the locks' owners tell the story of the way and are left out.
inline std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = fs::relative(entry.path(), folder).string();
    // A temporary file in a frame cache stays for an hour: another machine may be writing it.
    if (name.find("cache/.tmp-") != std::string::npos) continue;
    if (!entry.is_regular_file() || name == "log.txt" || entry.path().filename() == ".lock") continue;
    std::string bytes = slurp(entry.path());
    if (name == "metrics.jsonl") {
      std::string kept;
      std::istringstream lines(bytes);
      for (std::string line; std::getline(lines, line);) {
        auto row = nlohmann::ordered_json::parse(line);
        for (const char* key : {"seconds", "samples_per_second", "tokens_per_second", "data_wait_seconds", "peak_memory_gib", "flops_per_second",
                                "flops_utilisation", "sent_bytes", "received_bytes", "traffic"}) row.erase(key);
        kept += row.dump() + "\n";
      }
      bytes = kept;
    }
    found[name] = std::move(bytes);
  }
  return found;
}
// "" where both are the same, else the first name that differs.
inline std::string difference(const std::map<std::string, std::string>& wanted, const std::map<std::string, std::string>& found) {
  for (const auto& [name, bytes] : wanted) {
    if (!found.contains(name)) return name + " is missing";
    if (found.at(name) != bytes) return name + " differs";
  }
  for (const auto& [name, bytes] : found)
    if (!wanted.contains(name)) return name + " is left over";
  return "";
}

}  // namespace mvrm::test
