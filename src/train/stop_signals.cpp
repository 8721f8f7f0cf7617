// SPDX-License-Identifier: Apache-2.0
#include <mvrm/train/stop_signals.h>

#include <array>
#include <atomic>
#include <csignal>
#include <ctime>
#include <mutex>
#include <mvrm/core/error.h>
#include <unistd.h>

namespace mvrm::train {

namespace {

constexpr std::array kSignals{SIGTERM, SIGINT, SIGUSR1};
// A handler can reach nothing else. Blocking the signals instead would not do: threads that exist already (Gloo's, decoders) take them.
std::atomic<int64_t> first_signal{0}, first_interrupt{0};   // milliseconds, 0 = none
std::mutex install_mutex;
int64_t installed = 0;
std::array<struct sigaction, kSignals.size()> before{};

int64_t milliseconds_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000 + 1;
}

void note(int signal) {
  const int64_t milliseconds = milliseconds_now();
  int64_t unset = 0;
  first_signal.compare_exchange_strong(unset, milliseconds);
  if (signal != SIGINT) return;
  // One Ctrl-C may arrive twice: from the terminal and from a launcher.
  unset = 0;
  if (!first_interrupt.compare_exchange_strong(unset, milliseconds) && milliseconds - unset > 1000)
    ::_exit(static_cast<int>(core::ExitStatus::interrupted));
}

}  // namespace

StopSignals::StopSignals() {
  const std::lock_guard lock(install_mutex);
  if (installed++ > 0) return;
  first_signal = first_interrupt = 0;
  struct sigaction action{};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &before[i]);
}

StopSignals::~StopSignals() {
  const std::lock_guard lock(install_mutex);
  if (--installed > 0) return;
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before[i], nullptr);
}

bool StopSignals::arrived() const { return first_signal != 0; }

double StopSignals::seconds_since_arrival() const {
  return arrived() ? 1e-3 * static_cast<double>(milliseconds_now() - first_signal) : 0;
}

}  // namespace mvrm::train
