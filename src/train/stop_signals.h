// SPDX-License-Identifier: Apache-2.0
// SIGTERM, SIGINT and SIGUSR1 held back while training runs, so that a step is never cut: the loop asks at each step's end.
#pragma once
#include <csignal>
#include <ctime>
#include <pthread.h>

namespace mvrm::train {

// Made before worker threads are started: they inherit the mask, so no other thread takes the signal.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&watched_);
    for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&watched_, signal);
    pthread_sigmask(SIG_BLOCK, &watched_, &before_);
  }
  ~StopSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  // True when one of them has arrived since the last call.
  bool arrived() const {
    const timespec no_wait{.tv_sec = 0, .tv_nsec = 0};
    return sigtimedwait(&watched_, nullptr, &no_wait) > 0;
  }

 private:
  sigset_t watched_{}, before_{};
};

}  // namespace mvrm::train
