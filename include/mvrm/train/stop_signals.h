// SPDX-License-Identifier: Apache-2.0
// SIGTERM, SIGINT and SIGUSR1 while training runs: noted, so that the loop can end at a step's border. A second SIGINT, more than a
// second after the first, ends the process at once (status 130).
#pragma once

namespace mvrm::train {

// Handlers are per process: with several at once the first installs them and the last puts the old ones back.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  bool arrived() const;                    // since the handlers were installed
  double seconds_since_arrival() const;    // 0 where none has arrived
};

}  // namespace mvrm::train
