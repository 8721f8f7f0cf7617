// SPDX-License-Identifier: Apache-2.0
// Counts the calls with which a process changes files below one folder, and at one of them kills the process or lets the call fail.
// The library interposes libc's functions: link it into a test program in front of the others and call fault_arm(), or preload it
// into the real program (LD_PRELOAD) with the plan in the environment:
//   MVRM_FAULT_FOLDER  the folder, as realpath says it      MVRM_FAULT_AT    number of the call, from 1 (0 = count only)
//   MVRM_FAULT_KIND    kill, torn, or an errno as a number  MVRM_FAULT_RANK  the RANK that it is for (default: every process)
//   MVRM_FAULT_COUNT   a file that gets the number of calls at the end of the process
// Not counted: <folder>/.ranks (a thread changes it twice a second) and .lock.
#pragma once
#include <cstdint>

namespace mvrm::test {

enum class FaultKind : int32_t {
  kill,         // SIGKILL before the call
  torn,         // SIGKILL when half of a write's bytes are written; any other call: as kill, but after it
  fail,         // this call and every later write fail with `error`, as on a full disk; calls that only remove or rename go through
  fail_once,    // this call alone fails with `error`
};
// May lie in memory that processes share: counts survive the process.
struct FaultPlan {
  char folder[480] = "";
  int64_t at = 0;
  FaultKind kind = FaultKind::kill;
  int32_t error = 0;
  bool whole_group = false;      // the kill takes the process group with it: a job that is killed, a machine that is switched off
  int64_t free_bytes = -1;       // >= 0: what the file system says it has left
  int32_t trace = -1;            // a descriptor that gets every call as a TraceHeader and its bytes
  // Filled in.
  int64_t calls = 0;
  int64_t writes = 0;            // those that write bytes
  int64_t commits = 0;           // renames to a name step-N
};

enum class TraceCall : int32_t { create, write, sync, rename, truncate, folder, unlink, remove_folder };
struct TraceHeader {
  TraceCall call = TraceCall::create;
  int32_t truncates = 0;         // create: an existing file is emptied
  int64_t offset = 0;            // write: where; truncate: the new length
  int64_t path = 0, second_path = 0, bytes = 0;   // lengths of what follows, in this order
};

}  // namespace mvrm::test

extern "C" void mvrm_fault_arm(mvrm::test::FaultPlan* plan);   // nullptr = off
