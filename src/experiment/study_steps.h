// SPDX-License-Identifier: Apache-2.0
// From what suites need to steps that wait for each other; what several suites need becomes one step.
#pragma once
#include <map>
#include <string>
#include <tuple>

#include "steps.h"
#include "suite_table.h"

namespace mvrm::experiment {

class StudySteps {
 public:
  // The study must outlive the steps.
  explicit StudySteps(Study& study) : study_(study) {}
  void add(const Needs& needs);
  Steps& steps() { return steps_; }

 private:
  using Place = std::tuple<Group, int64_t, std::string>;   // group, seed, arm or step
  // The number of the step at `place`, which is made when it is not there yet.
  size_t once(const Place& place, const std::string& name, std::vector<size_t> after, Steps::Work work);
  size_t data(Group group, int64_t seed);
  size_t baseline(Group group, int64_t seed);
  size_t profile(Group group, int64_t seed);
  size_t trained(const Run& run, int64_t seed, const std::vector<size_t>& earlier);
  void ask_about_pairs(const Run& run, int64_t seed, size_t after);
  std::string title(Group group, int64_t seed, const std::string& what);

  Study& study_;
  Steps steps_;
  std::map<Place, size_t> numbers_;
};

}  // namespace mvrm::experiment
