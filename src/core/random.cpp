// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <mvrm/core/random.h>
#include <numbers>

namespace mvrm::core {

uint64_t mix64(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

uint64_t hash64(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return mix64(hash);
}

// The second value of the pair is thrown away: a cached one would make copies of the stream depend on history.
double CounterRng::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));   // 1 - [0, 1) never is 0
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

}  // namespace mvrm::core
