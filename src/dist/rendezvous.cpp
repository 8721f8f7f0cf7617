// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <mvrm/core/error.h>
#include <mvrm/dist/rendezvous.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace mvrm::dist {

namespace {

void survive_broken_pipes() {
  struct sigaction now {};
  if (::sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) ::signal(SIGPIPE, SIG_IGN);
}

}  // namespace

std::chrono::milliseconds timeout_of(const WorldConfig& world) {
  return std::chrono::milliseconds(static_cast<int64_t>(world.timeout_seconds * 1000));
}

c10::intrusive_ptr<c10d::Store> meet(const WorldConfig& world, const std::string& name) {
  survive_broken_pipes();
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(world.master_port);
  options.isServer = world.rank == 0 && !world.agent_store;
  options.numWorkers = static_cast<size_t>(world.size);
  options.waitWorkers = false;
  options.timeout = timeout_of(world);
  if (options.isServer && world.listen_fd >= 0) options.masterListenFd = world.listen_fd;
  return c10::make_intrusive<c10d::PrefixStore>(world.store_prefix + "/" + name, c10::make_intrusive<c10d::TCPStore>(world.master_addr, options));
}

void throw_peer_lost(const std::string& operation, const Communicator& comm, const std::optional<Heartbeat>& heartbeat,
                     const std::string& why) {
  const std::string who = heartbeat ? heartbeat->diagnosis() : "look at the other ranks' messages";
  throw core::Error(operation + ": rank " + std::to_string(comm.rank()) + " of " + std::to_string(comm.size()) +
                        " lost a peer or waited too long for it: " + who + " (" + why.substr(0, why.find('\n')) +
                        "); start the same command again to resume",
                    core::ExitStatus::peer_lost);
}

}  // namespace mvrm::dist
