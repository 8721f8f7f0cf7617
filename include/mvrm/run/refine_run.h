// SPDX-License-Identifier: Apache-2.0
// mvrm refine: the plan that follows from a profile, and the labels that look wrong in it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <mvrm/influence/profile.h>
#include <mvrm/refine/strategy.h>
#include <mvrm/run/run_config.h>
#include <string>
#include <vector>

namespace mvrm::run {

struct RefineRunOptions {
  std::filesystem::path profile_dir, plan_file;
  RefineSection refine;
  uint64_t seed = 42;
};
refine::PlanSummary refine_run(const RefineRunOptions& options);
// Strategy, kept and removed samples, and per dimension the threshold, the count and the cumulative union.
std::string summary_table(const refine::PlanSummary& summary, const std::vector<std::string>& dimensions);
// Ranked suspects: the `count` riskiest labelled cells, one row each, as a table.
std::string suspects_table(const influence::Profile& profile, int64_t count);

}  // namespace mvrm::run
