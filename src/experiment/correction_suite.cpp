// SPDX-License-Identifier: Apache-2.0
// Suite correction: the riskiest labels of one dimension are looked at again, and the model is trained on what was found.
#include <ATen/ATen.h>
#include <algorithm>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/refine/strategy.h>
#include <nlohmann/json.hpp>

#include "seed_columns.h"
#include "suite_table.h"
#include "truth.h"

namespace mvrm::experiment {

namespace {

using Json = nlohmann::ordered_json;

int64_t dimension_index(const influence::Profile& profile, const std::string& name) {
  const auto found = std::find(profile.dimensions.begin(), profile.dimensions.end(), name);
  if (found == profile.dimensions.end()) {
    std::string known;
    for (const auto& dimension : profile.dimensions) known += (known.empty() ? "" : ", ") + dimension;
    throw core::ConfigError("experiment.correct_dimension: unknown dimension '" + name + "'; known: " + known);
  }
  return found - profile.dimensions.begin();
}

// The samples whose label of the dimension is among the riskiest.
std::vector<size_t> riskiest(const influence::Profile& profile, int64_t k, double percent) {
  const at::Tensor risk_N1 = profile.self_influence_NK.narrow(1, k, 1);
  const at::Tensor top_N = refine::top_cells(risk_N1, {percent}, profile.ids).flatten().contiguous();
  std::vector<size_t> rows;
  for (int64_t n = 0; n < top_N.numel(); ++n) {
    if (top_N.const_data_ptr<uint8_t>()[n] != 0) rows.push_back(static_cast<size_t>(n));
  }
  return rows;
}

// What somebody who knows the right labels writes after looking at these.
Arm corrected_arm(Study& study, int64_t seed, double percent) {
  const auto& config = study.config().experiment;
  Arm arm{.name = "correction-" + text_of(percent), .refine = {.strategy = "correction", .corrections = config.corrections}};
  if (!config.corrections.empty()) return arm;
  const influence::Profile& profile = study.profile(Group::main, seed);
  const SeedRuns& runs = study.runs(Group::main, seed);
  const auto truth = read_true_labels(runs.data().truth);
  const int64_t k = dimension_index(profile, config.correct_dimension);
  std::string lines;
  for (const size_t n : riskiest(profile, k, percent)) {
    const double label = profile.label_NK[static_cast<int64_t>(n)][k].item<double>(), right = true_label(truth, profile.ids[n], config.correct_dimension);
    if (label == right) continue;
    lines += Json{{"id", profile.ids[n]}, {"dimension", config.correct_dimension}, {"old", label}, {"new", right}, {"by", "truth"}, {"at", ""}}.dump() + "\n";
  }
  if (lines.empty()) return {.name = arm.name};   // every label that was looked at is right
  arm.refine.corrections = runs.directory() / (arm.name + ".jsonl");
  core::write_file_atomic(arm.refine.corrections, lines);
  return arm;
}

// Share of each label among the riskiest of the dimension.
ResultTable label_table(Study& study, const std::vector<double>& percents) {
  const auto& config = study.config().experiment;
  ResultTable table{.title = "Labels of " + config.correct_dimension + " in percent: all, and the riskiest", .columns = {}, .rows = {}, .scale = 100, .digits = 1};
  std::vector<double> shares_of = percents;
  shares_of.insert(shares_of.begin(), 100);
  for (const double percent : shares_of) {
    SeedColumns columns;
    for (int64_t s = 0; s < study.seeds(); ++s) {
      const influence::Profile& profile = study.profile(Group::main, s);
      const int64_t k = dimension_index(profile, config.correct_dimension);
      const auto rows = riskiest(profile, k, percent);
      std::vector<double> count(4, 0);
      for (const size_t n : rows) count[static_cast<size_t>(std::clamp<int64_t>(std::llround(profile.label_NK[static_cast<int64_t>(n)][k].item<double>()), 1, 4) - 1)] += 1;
      for (double& share : count) share /= static_cast<double>(rows.size());
      columns.add(count);
    }
    table.rows.push_back({.method = percent == 100 ? "all labels" : "riskiest " + text_of(percent) + " %", .values = columns.summaries()});
  }
  for (int label = 1; label <= 4; ++label) table.columns.push_back("label " + std::to_string(label));
  return table;
}

std::vector<double> percents_of(const ExperimentConfig& config) {
  std::vector<double> percents{config.experiment.correct_percent};
  if (config.experiment.corrections.empty() && config.experiment.alpha > config.experiment.correct_percent) percents.push_back(config.experiment.alpha);
  return percents;
}

}  // namespace

Needs correction_needs(const ExperimentConfig& config) {
  Needs needs{.runs = {baseline_run()}, .profiles = {Group::main}};
  for (const double percent : percents_of(config)) {
    const std::string what = config.experiment.corrections.empty() ? "top " + text_of(percent) + " % of " + config.experiment.correct_dimension + " corrected"
                                                                   : "corrections of " + config.experiment.corrections.filename().string();
    needs.runs.push_back({.method = what, .arm = {.name = "correction-" + text_of(percent)},
                          .decide = [percent](Study& study, int64_t seed) { return corrected_arm(study, seed, percent); }});
  }
  return needs;
}

void tabulate_correction(Study& study, const Needs& needs, SuiteResult& result, const core::Context& context) {
  tabulate_spearman(study, needs, result, context);
  result.tables.push_back(label_table(study, percents_of(study.config())));
}

}  // namespace mvrm::experiment
