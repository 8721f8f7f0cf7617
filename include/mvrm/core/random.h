// SPDX-License-Identifier: Apache-2.0
// Counter-based random numbers: a value is a pure function of (seed, stream, counter), so no draw depends on how many
// others were made, on threads, or on ranks. Not for cryptography.
#pragma once
#include <cstdint>
#include <string_view>

namespace mvrm::core {

// SplitMix64 finaliser: a bijection of 64 bits with good avalanche.
uint64_t mix64(uint64_t x);
// FNV-1a then mix64; the same on every machine.
uint64_t hash64(std::string_view text);
// Order-dependent combination of two hashes.
inline uint64_t combine64(uint64_t a, uint64_t b) { return mix64(a ^ (mix64(b) + 0x9e3779b97f4a7c15ULL + (a << 6) + (a >> 2))); }

// A stream of numbers. Copyable; equal (seed, stream) give equal sequences. Not thread-safe: one per thread.
class CounterRng {
 public:
  CounterRng(uint64_t seed, uint64_t stream) : key_(combine64(mix64(seed), stream)) {}
  CounterRng(uint64_t seed, std::string_view stream) : CounterRng(seed, hash64(stream)) {}
  uint64_t next() { return mix64(key_ + 0x9e3779b97f4a7c15ULL * ++counter_); }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }   // [0, 1)
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  int64_t below(int64_t n) { return static_cast<int64_t>(uniform() * static_cast<double>(n)); }  // 0..n-1
  double normal();                                                              // mean 0, standard deviation 1 (Box-Muller)

 private:
  uint64_t key_;
  uint64_t counter_ = 0;
};

}  // namespace mvrm::core
