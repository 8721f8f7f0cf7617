// SPDX-License-Identifier: Apache-2.0
// What a running command knows about its surroundings; passed by reference, never global.
#pragma once
#include <cstdint>
#include <mvrm/core/log.h>
#include <string>

namespace mvrm::core {

struct Context {
  std::string device = "cpu";   // "cpu" or "cuda:0"
  uint64_t seed = 42;
  int64_t threads = 1;          // sample-parallel workers of this process, >= 1 (spec/training.md 5.5)
  bool show_progress = false;   // draw progress on stderr: a bar on a terminal, plain lines otherwise
  Log log;
};

}  // namespace mvrm::core
