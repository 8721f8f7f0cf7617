// SPDX-License-Identifier: Apache-2.0
// How far a comparison with the reference came out: checked, and printed in the form that scripts/fidelity_table.py collects for
// docs/fidelity.md.
#pragma once
#include <algorithm>
#include <cstdio>
#include <gtest/gtest.h>
#include <map>
#include <string>

namespace mvrm::test {

// The worst value of each quantity, in the order of their names. `tolerance` 0 = equal bit for bit.
class Fidelity {
 public:
  Fidelity(std::string comparison, double tolerance) : comparison_(std::move(comparison)), tolerance_(tolerance) {}
  Fidelity(const Fidelity&) = delete;
  Fidelity& operator=(const Fidelity&) = delete;
  ~Fidelity() {
    for (const auto& [quantity, error] : worst_) std::printf("fidelity | %s | %s | %.1e | %.0e\n", comparison_.c_str(), quantity.c_str(), error, tolerance_);
  }
  // `detail` names the case in a failure.
  void add(const std::string& quantity, double error, const std::string& detail) {
    EXPECT_LE(error, tolerance_) << comparison_ << ": " << quantity << ": " << detail;
    double& worst = worst_[quantity];
    worst = error > worst || error != error ? error : worst;
    ++count_;
  }
  int64_t count() const { return count_; }

 private:
  std::string comparison_;
  double tolerance_;
  std::map<std::string, double> worst_;
  int64_t count_ = 0;
};

}  // namespace mvrm::test
