// SPDX-License-Identifier: Apache-2.0
// What a suite declares: the runs it needs and how its tables follow from them. The list of suites is in suites.cpp.
#pragma once
#include <functional>
#include <mvrm/experiment/suite.h>
#include <string>
#include <vector>

#include "study.h"

namespace mvrm::experiment {

// One row of a table, trained for every seed.
struct Run {
  std::string method;
  Group group = Group::main;
  Arm arm;
  // Where the arm depends on what earlier runs of the list and the profile say (alpha chosen on a validation split, labels to correct).
  std::function<Arm(Study&, int64_t seed)> decide = {};
};
struct Needs {
  std::vector<Run> runs;
  std::vector<Group> profiles = {};
  bool pairs = false;               // the runs are also asked about pairs of clips
};
struct Suite {
  const char* name;
  const char* title;
  const char* published;
  // What the configuration must give and doesn't; empty when nothing is lacking.
  std::string (*lacking)(const ExperimentConfig& config);
  Needs (*needs)(const ExperimentConfig& config);
  void (*tabulate)(Study& study, const Needs& needs, SuiteResult& result, const core::Context& context);
};
const std::vector<Suite>& suite_table();

inline Run baseline_run(Group group = Group::main) { return {.method = "equal weighting (baseline)", .group = group, .arm = kBaseline}; }
// Columns: dimensions and "mean"; a row for each run, with its gain over the last baseline above it. `ids`: of each seed the test clips that
// count; none = all.
ResultTable spearman_table(Study& study, const std::vector<Run>& runs, const std::string& title, const core::Context& context,
                           const std::function<std::vector<std::string>(int64_t seed)>& ids = {});

// The suites, by file.
Needs main_needs(const ExperimentConfig& config);
Needs row_sum_needs(const ExperimentConfig& config);
Needs correction_needs(const ExperimentConfig& config);
Needs backbone_needs(const ExperimentConfig& config);
Needs tau_needs(const ExperimentConfig& config);
Needs seeds_needs(const ExperimentConfig& config);
Needs combine_needs(const ExperimentConfig& config);
void tabulate_spearman(Study& study, const Needs& needs, SuiteResult& result, const core::Context& context);
void tabulate_tau(Study& study, const Needs& needs, SuiteResult& result, const core::Context& context);
void tabulate_seeds(Study& study, const Needs& needs, SuiteResult& result, const core::Context& context);
void tabulate_correction(Study& study, const Needs& needs, SuiteResult& result, const core::Context& context);

Needs alpha_needs(const ExperimentConfig& config);
void tabulate_alpha(Study& study, const Needs& needs, SuiteResult& result, const core::Context& context);

Needs pairs_needs(const ExperimentConfig& config);
void tabulate_pairs(Study& study, const Needs& needs, SuiteResult& result, const core::Context& context);

Needs profile_needs(const ExperimentConfig& config);
Needs noise_needs(const ExperimentConfig& config);
void tabulate_overlap(Study& study, const Needs& needs, SuiteResult& result, const core::Context& context);
void tabulate_noise(Study& study, const Needs& needs, SuiteResult& result, const core::Context& context);
void tabulate_scatter(Study& study, const Needs& needs, SuiteResult& result, const core::Context& context);
void tabulate_frames(Study& study, const Needs& needs, SuiteResult& result, const core::Context& context);

}  // namespace mvrm::experiment
