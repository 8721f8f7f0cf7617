// SPDX-License-Identifier: Apache-2.0
// Which rank am I: torchrun (and the built-in launcher), then SLURM, then Open MPI / PMI (spec/training.md 3.8).
#include <charconv>
#include <cstdlib>
#include <mvrm/core/error.h>
#include <mvrm/dist/communicator.h>
#include <optional>

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
constexpr Variables kLaunchers[] = {
    {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
    {"SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE"},
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
};

const Variables* launcher() {
  for (const auto& names : kLaunchers) {
    if (text_of(names.rank) && text_of(names.size)) return &names;
  }
  return nullptr;
}

}  // namespace

WorldConfig world_from_environment() {
  WorldConfig world;
  const Variables* names = launcher();
  if (names == nullptr) {
    if (text_of("WORLD_SIZE") && number_of("WORLD_SIZE").value_or(1) > 1) throw core::ConfigError("environment: WORLD_SIZE is set but RANK is not");
    return world;
  }
  world.rank = *number_of(names->rank);
  world.size = *number_of(names->size);
  world.local_rank = number_of(names->local_rank).value_or(0);
  if (world.size < 1 || world.rank >= world.size) {
    throw core::ConfigError(std::string("environment: ") + names->rank + " is " + std::to_string(world.rank) + " in a world of " + std::to_string(world.size));
  }
  world.master_addr = text_of("MASTER_ADDR").value_or("127.0.0.1");
  world.master_port = static_cast<int>(number_of("MASTER_PORT").value_or(0));
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
  return names == nullptr ? 1 : std::max<int64_t>(1, number_of(names->local_size).value_or(1));
}

}  // namespace mvrm::dist
