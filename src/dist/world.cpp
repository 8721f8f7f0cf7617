// SPDX-License-Identifier: Apache-2.0
// Which rank am I: torchrun (and the built-in launcher), then SLURM, then Open MPI / PMI (spec/training.md 3.8).
#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <mvrm/core/error.h>
#include <mvrm/dist/communicator.h>
#include <optional>
#include <sstream>
#include <string_view>

namespace mvrm::dist {

namespace {

std::optional<std::string> text_of(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? std::optional<std::string>(value) : std::nullopt;
}

std::optional<int64_t> number_of(const char* name) {
  const auto text = text_of(name);
  if (!text) return std::nullopt;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size() || value < 0) {
    throw core::ConfigError(std::string("environment: ") + name + " must be a whole number, got '" + *text + "'");
  }
  return value;
}

struct Variables { const char *rank, *size, *local_rank, *local_size; };
// SLURM's names of a step: a batch script has SLURM_PROCID and SLURM_NTASKS too, but is one process that may start others.
constexpr Variables kSlurm = {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE"};
constexpr Variables kLaunchers[] = {
    {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
    kSlurm,
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
};

const Variables* launcher() {
  for (const auto& names : kLaunchers) {
    if (text_of(names.rank) && text_of(names.size)) return &names;
  }
  return nullptr;
}

bool is_slurm(const Variables* names) { return names != nullptr && std::string_view(names->rank) == kSlurm.rank; }

// "4(x2),3" on node 2: 3.
int64_t slurm_tasks_of_node(const std::string& list, int64_t node) {
  std::istringstream items(list);
  for (std::string item; std::getline(items, item, ',');) {
    int64_t tasks = 0, nodes = 1;
    const int read = std::sscanf(item.c_str(), "%" SCNd64 "(x%" SCNd64 ")", &tasks, &nodes);
    if (read < 1 || tasks < 1 || nodes < 1) break;
    if (node < nodes) return tasks;
    node -= nodes;
  }
  throw core::ConfigError("environment: SLURM_STEP_TASKS_PER_NODE is '" + list + "', which says nothing of node SLURM_NODEID");
}

// "gpu[07-09,12],login1" begins with gpu07.
std::string first_host(const std::string& list) {
  const size_t end = list.find_first_of(",[");
  if (end == std::string::npos || list[end] == ',') return list.substr(0, end);
  const size_t from = end + 1, to = list.find_first_of(",-]", from), close = list.find(']', from);
  if (to == std::string::npos || close == std::string::npos) return {};
  const size_t rest = std::min(list.find(',', close), list.size());   // a name may go on behind the bracket
  return list.substr(0, end) + list.substr(from, to - from) + list.substr(close + 1, rest - close - 1);
}

int64_t tasks_of_node(const Variables& names) {
  if (is_slurm(&names)) {
    const auto list = text_of(names.local_size);
    return list ? slurm_tasks_of_node(*list, number_of("SLURM_NODEID").value_or(0)) : 1;
  }
  return std::max<int64_t>(1, number_of(names.local_size).value_or(1));
}

// Where rank 0 is to be met. srun names no place, but hosts and a job number that all ranks know.
void find_place(WorldConfig& world, const Variables& names) {
  const bool slurm = is_slurm(&names);
  world.master_port = static_cast<int>(number_of("MASTER_PORT").value_or(0));
  if (world.master_port == 0 && slurm) world.master_port = static_cast<int>(15000 + number_of("SLURM_JOB_ID").value_or(0) % 20000);
  const bool several_nodes = text_of(names.local_size) && tasks_of_node(names) < world.size;
  if (const auto address = text_of("MASTER_ADDR")) {
    world.master_addr = *address;
  } else if (several_nodes) {
    world.master_addr = slurm ? first_host(text_of("SLURM_STEP_NODELIST").value_or("")) : "";
    if (world.master_addr.empty()) throw core::ConfigError("environment: MASTER_ADDR is not set, and there are ranks on other machines; set it to the machine of rank 0");
  }
}

}  // namespace

WorldConfig world_from_environment() {
  WorldConfig world;
  const Variables* names = launcher();
  if (names == nullptr) {
    if (text_of("WORLD_SIZE") && number_of("WORLD_SIZE").value_or(1) > 1) throw core::ConfigError("environment: WORLD_SIZE is set, RANK is not set");
    return world;
  }
  world.rank = *number_of(names->rank);
  world.size = *number_of(names->size);
  world.local_rank = number_of(names->local_rank).value_or(0);
  if (world.size < 1 || world.rank >= world.size) {
    throw core::ConfigError(std::string("environment: ") + names->rank + " is " + std::to_string(world.rank) + " in a world of " + std::to_string(world.size));
  }
  find_place(world, *names);
  world.listen_fd = world.rank == 0 ? static_cast<int>(number_of("MVRM_LISTEN_FD").value_or(-1)) : -1;
  world.agent_store = text_of("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True";
  if (world.agent_store) world.store_prefix = "/worker/attempt_" + text_of("TORCHELASTIC_RESTART_COUNT").value_or("0");
  if (world.size > 1 && world.master_port == 0 && world.listen_fd < 0) {
    throw core::ConfigError("environment: MASTER_PORT is not set; every rank needs MASTER_ADDR and MASTER_PORT to meet the others");
  }
  return world;
}

int64_t local_world_size() {
  const Variables* names = launcher();
  return names == nullptr ? 1 : tasks_of_node(*names);
}

}  // namespace mvrm::dist
