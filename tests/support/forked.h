// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <ATen/Parallel.h>

namespace mvrm::test {

// The first thing in a forked rank. A fork leaves torch's thread pool behind; the next at::set_num_threads() makes another, and two threads
// that make that call at once (the workers of a step) end the process: "Invalid thread pool!". The program itself never forks without exec.
inline void after_fork() { at::set_num_threads(1); }

}  // namespace mvrm::test
