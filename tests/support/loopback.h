// SPDX-License-Identifier: Apache-2.0
// A listening socket for rank 0 of a world of processes: nobody can take its port between choosing and using it.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <utility>

namespace mvrm::test {

// Descriptor and port.
inline std::pair<int, int> listen_on_loopback() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (socket < 0 || ::bind(socket, reinterpret_cast<sockaddr*>(&address), length) != 0 || ::listen(socket, 16) != 0 ||
      ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) throw std::runtime_error("no socket on the loopback interface");
  return {socket, ntohs(address.sin_port)};
}

}  // namespace mvrm::test
