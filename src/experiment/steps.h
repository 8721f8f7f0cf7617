// SPDX-License-Identifier: Apache-2.0
// Steps that wait for each other, done a few at a time. Each is expected to leave alone what it finds done.
#pragma once
#include <cstdint>
#include <functional>
#include <mvrm/core/context.h>
#include <string>
#include <vector>

namespace mvrm::experiment {

class Steps {
 public:
  using Work = std::function<void(const core::Context&)>;
  // `after`: steps that must be done first, as numbers that add() gave. Returns the number of this one.
  size_t add(std::string name, std::vector<size_t> after, Work work);
  size_t size() const { return steps_.size(); }
  // Steps start in the order in which they were added as soon as what they wait for is done; at most `jobs` at a time, one after the other
  // on the calling thread for jobs = 1. A step's context has its share of the threads and writes no lines of its own to stderr. When one
  // throws, or SIGTERM, SIGINT or SIGUSR1 arrives, no other is started; the first error is thrown when the running ones have ended.
  void run(int64_t jobs, const core::Context& context);

 private:
  struct Step {
    std::string name;
    std::vector<size_t> after;
    Work work;
  };
  std::vector<Step> steps_;
};

}  // namespace mvrm::experiment
