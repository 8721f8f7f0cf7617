// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <mvrm/core/error.h>
#include <mvrm/dist/launcher.h>
#include <netinet/in.h>
#include <optional>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace mvrm::dist {

namespace {

constexpr const char* kProgram = "/proc/self/exe";
constexpr auto kGrace = std::chrono::seconds(5);

void set_default(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 0); }

// A socket that listens already: the port is ours before any rank looks for it.
std::pair<int, int> listen_on_loopback() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (socket < 0 || ::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(socket, 128) != 0 ||
      ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw core::io_error(std::string("launcher: can't listen on the loopback interface: ") + std::strerror(errno));
  }
  return {socket, ntohs(address.sin_port)};
}

[[noreturn]] void become_rank(int rank, int count, int port, int socket, const std::vector<std::string>& arguments) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  const std::string number = std::to_string(rank), size = std::to_string(count);
  ::setenv("RANK", number.c_str(), 1);
  ::setenv("LOCAL_RANK", number.c_str(), 1);
  ::setenv("WORLD_SIZE", size.c_str(), 1);
  ::setenv("LOCAL_WORLD_SIZE", size.c_str(), 1);
  ::setenv("MASTER_ADDR", "127.0.0.1", 1);
  ::setenv("MASTER_PORT", std::to_string(port).c_str(), 1);
  ::setenv("OMP_NUM_THREADS", std::to_string(std::max(1U, cores / static_cast<unsigned>(count))).c_str(), 1);
  set_default("OMP_WAIT_POLICY", "passive");
  if (rank == 0) ::setenv("MVRM_LISTEN_FD", std::to_string(socket).c_str(), 1);
  else ::close(socket);
  std::vector<char*> argv{const_cast<char*>("mvrm")};
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execv(kProgram, argv.data());
  ::_exit(127);
}

struct Child { pid_t pid; int rank; };

// What the whole is to say of a rank's end. A rank that something else killed is a lost peer.
int status_of(int raw, int rank, pid_t pid, bool signalled) {
  if (WIFEXITED(raw)) return WEXITSTATUS(raw);
  if (signalled) return 128 + WTERMSIG(raw);
  std::cerr << "launcher: rank " << rank << " (pid " << pid << ") was killed by signal " << WTERMSIG(raw) << " (" << ::strsignal(WTERMSIG(raw)) << ")" << std::endl;
  return static_cast<int>(core::ExitStatus::peer_lost);
}

// Waits for all children; passes signals on; behind the first failure the rest has a while to say what they know.
int supervise(std::vector<Child> children, int signals) {
  using Clock = std::chrono::steady_clock;
  int result = 0;
  bool signalled = false;
  std::optional<Clock::time_point> deadline;
  while (!children.empty()) {
    pollfd waiting{.fd = signals, .events = POLLIN, .revents = 0};
    ::poll(&waiting, 1, 200);
    signalfd_siginfo info{};
    while (::read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo == SIGCHLD) continue;
      signalled = true;
      for (const auto& child : children) ::kill(child.pid, static_cast<int>(info.ssi_signo));
    }
    int raw = 0;
    for (pid_t ended = 0; (ended = ::waitpid(-1, &raw, WNOHANG)) > 0;) {
      const auto child = std::find_if(children.begin(), children.end(), [&](const Child& c) { return c.pid == ended; });
      if (child == children.end()) continue;
      const int status = status_of(raw, child->rank, ended, signalled || result != 0);
      children.erase(child);
      if (status == 0 || result != 0) continue;
      result = status;
      // 75 = stopped by a signal, checkpoint written: every rank ends that way by itself.
      if (status != static_cast<int>(core::ExitStatus::stopped)) deadline = Clock::now() + kGrace;
    }
    if (!deadline || Clock::now() < *deadline) continue;
    for (const auto& child : children) ::kill(child.pid, SIGKILL);
  }
  return result;
}

}  // namespace

void ensure_passive_openmp(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("MVRM_OPENMP_SET") != nullptr) return;
  ::setenv("MVRM_OPENMP_SET", "1", 1);
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  set_default("OMP_NUM_THREADS", "1");
  ::execv(kProgram, argv);   // only returns when it fails; then the program goes on, only slower
}

int launch_local(int count, const std::vector<std::string>& arguments) {
  const auto [socket, port] = listen_on_loopback();
  sigset_t watched;
  sigemptyset(&watched);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGUSR1}) sigaddset(&watched, signal);
  ::sigprocmask(SIG_BLOCK, &watched, nullptr);
  const int signals = ::signalfd(-1, &watched, SFD_NONBLOCK | SFD_CLOEXEC);
  std::vector<Child> children;
  for (int rank = 0; rank < count; ++rank) {
    const pid_t child = ::fork();
    if (child == 0) become_rank(rank, count, port, socket, arguments);
    if (child < 0) {
      for (const auto& started : children) ::kill(started.pid, SIGKILL);
      throw core::io_error(std::string("launcher: can't start a process: ") + std::strerror(errno));
    }
    children.push_back({child, rank});
  }
  ::close(socket);
  const int result = supervise(std::move(children), signals);
  ::close(signals);
  return result;
}

}  // namespace mvrm::dist
