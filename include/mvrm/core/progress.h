// SPDX-License-Identifier: Apache-2.0
// Progress of a long loop on stderr: a bar with time left on a terminal, a plain line every few seconds otherwise.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

namespace mvrm::core {

// Thread-safe. Draws nothing when `enabled` is false. The last state is printed by the destructor.
class Progress {
 public:
  Progress(std::string title, int64_t total, bool enabled);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // `steps` were done before this began: the time left is reckoned without them. Before the first advance().
  void resume_at(int64_t steps);
  // Counts `steps` more items; `note` (e.g. "loss 0.41") is shown behind the bar.
  void advance(int64_t steps = 1, const std::string& note = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mvrm::core
