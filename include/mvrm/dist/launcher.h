// SPDX-License-Identifier: Apache-2.0
// Starting processes: this program again with another environment, or once per rank on this machine.
#pragma once
#include <string>
#include <vector>

namespace mvrm::dist {

// libgomp reads OMP_WAIT_POLICY when it is loaded, so it must be in the environment before the process starts: with the default, busy
// processes on few cores run many times slower (spec/training.md decision 5). Replaces this process by itself once; a no-op when it is set.
void ensure_passive_openmp(char** argv);

// Runs this program `count` times with `arguments`, as ranks of one world over loopback. Signals are passed on; behind the first failure
// the others have five seconds to end by themselves. Returns the exit status of the first failure (7 for a rank that was killed), else 0. Throws Error (io) when a process can't be started.
int launch_local(int count, const std::vector<std::string>& arguments);

}  // namespace mvrm::dist
