// SPDX-License-Identifier: Apache-2.0
// How much resident memory a piece of work needed at its peak.
#pragma once
#include <cstdint>
#include <fstream>
#include <string>

namespace mvrm::test {

// A line of /proc/self/status in bytes, e.g. "VmRSS" or "VmHWM"; -1 where there is none.
inline int64_t process_bytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == key + ":") {
      int64_t kilobytes = 0;
      status >> kilobytes;
      return kilobytes * 1024;
    }
  return -1;
}

// Peak of resident memory while `work` runs, above what was resident before.
template <class Work> int64_t extra_bytes(const Work& work) {
  std::ofstream("/proc/self/clear_refs") << "5";   // the peak starts anew
  const int64_t before = process_bytes("VmRSS");
  work();
  return process_bytes("VmHWM") - before;
}

}  // namespace mvrm::test
