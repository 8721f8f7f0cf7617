// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <mvrm/config/yaml_reader.h>
#include <mvrm/core/error.h>
#include <mvrm/refine/automatic_alpha.h>
#include <mvrm/run/run_config.h>

namespace mvrm::run {

RunConfig load_run_config(const std::vector<std::filesystem::path>& files, const std::vector<std::string>& overrides) {
  RunConfig config;
  config::read(config::load(files, overrides), config);
  return config;
}

std::vector<double> alpha_percent(const config::ScalarOrMap& alpha, const std::vector<std::string>& dimensions) {
  if (alpha.word == "paper_best") return refine::paper_best_alpha(dimensions);
  if (!alpha.word.empty()) {
    throw core::ConfigError("refine.alpha: '" + alpha.word + "' is none of: a percentage, a map of dimension names, auto, paper_best");
  }
  std::vector<double> percent(dimensions.size(), alpha.scalar.value_or(0.5));
  for (const auto& [name, value] : alpha.map) {
    const auto found = std::find(dimensions.begin(), dimensions.end(), name);
    if (found == dimensions.end()) {
      std::string known;
      for (const auto& dimension : dimensions) known += (known.empty() ? "" : ", ") + dimension;
      throw core::ConfigError("refine.alpha: unknown dimension '" + name + "'; known: " + known);
    }
    percent[static_cast<size_t>(found - dimensions.begin())] = value;
  }
  return percent;
}

}  // namespace mvrm::run
