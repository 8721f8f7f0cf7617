// SPDX-License-Identifier: Apache-2.0
// Python's random.Random: MT19937 seeded by init_by_array, numbers of 53 bits. For baselines that others published.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace mvrm::eval {

class PythonRandom {
 public:
  explicit PythonRandom(uint32_t seed);  // random.seed(seed)
  double random();                       // [0, 1)

 private:
  uint32_t next();
  static constexpr size_t kSize = 624;
  std::array<uint32_t, kSize> state_{};
  size_t at_ = kSize;
};

}  // namespace mvrm::eval
