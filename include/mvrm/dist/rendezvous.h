// SPDX-License-Identifier: Apache-2.0
// What ranks do alike over Gloo and over NCCL: meet at a TCP store, and say that a peer is lost. For these two only: the store's header
// takes ten seconds to compile. Public because the plug-in is no stage.
#pragma once
#include <chrono>
#include <mvrm/dist/communicator.h>
#include <mvrm/dist/heartbeat.h>
#include <optional>
#include <string>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace mvrm::dist {

std::chrono::milliseconds timeout_of(const WorldConfig& world);
// Rank 0 serves it, unless torchrun's agent does already. `name` keeps the keys of two backends apart. Throws c10::DistError.
// From here on the process ignores SIGPIPE, unless it handles it: that a peer ended while it was written to has to be an error of the call
// with a name in it, not the end of this process without a word.
c10::intrusive_ptr<c10d::Store> meet(const WorldConfig& world, const std::string& name);
// Throws Error (peer_lost) naming the operation, this rank, the peer where a heartbeat tells it, and the first line of `why`.
[[noreturn]] void throw_peer_lost(const std::string& operation, const Communicator& comm, const std::optional<Heartbeat>& heartbeat,
                                  const std::string& why);

}  // namespace mvrm::dist
