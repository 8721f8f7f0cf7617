// SPDX-License-Identifier: Apache-2.0
// Numbered steps: a log line for each, and how long it took.
#pragma once
#include <chrono>
#include <mvrm/core/context.h>
#include <nlohmann/json.hpp>
#include <string>

namespace mvrm::experiment {

class StepTimer {
 public:
  // Adds the seconds of each step to `seconds` under its name; `total` steps are expected.
  StepTimer(nlohmann::ordered_json& seconds, const core::Context& context, int64_t total) : seconds_(seconds), context_(context), total_(total) {}
  template <class Step> auto run(const std::string& name, Step step) {
    context_.log.info("step " + std::to_string(++number_) + "/" + std::to_string(total_) + ": " + name);
    const auto start = std::chrono::steady_clock::now();
    auto result = step();
    seconds_[name] = seconds_.value(name, 0.0) + std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return result;
  }

 private:
  nlohmann::ordered_json& seconds_;
  const core::Context& context_;
  int64_t total_, number_ = 0;
};

}  // namespace mvrm::experiment
