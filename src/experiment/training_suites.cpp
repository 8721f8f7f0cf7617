// SPDX-License-Identifier: Apache-2.0
// Suites whose tables are correlations of trained models: main, row-sum, backbone, tau, seeds, combine.
#include <algorithm>
#include <mvrm/eval/split.h>

#include "figures.h"
#include "gain.h"
#include "seed_columns.h"
#include "suite_table.h"

namespace mvrm::experiment {

namespace {

// High-Loss and uncertainty remove as many samples as pruning does, so that what is compared is the choice and not the amount.
std::vector<Run> data_side_runs(double alpha, double tau) {
  return {{.method = "TracIn (scalar)", .arm = pruning_arm("tracin", alpha)},
          {.method = "High-Loss", .arm = pruning_arm("high_loss", alpha, "match_union")},
          {.method = "uncertainty (Bayesian head)", .arm = pruning_arm("uncertainty", alpha, "match_union")},
          {.method = "DDP", .arm = pruning_arm("ddp", alpha)},
          {.method = "DDR", .arm = reweighting_arm("ddr", tau)},
          {.method = "mask (ours)", .arm = pruning_arm("mask", alpha)},
          {.method = "TracIn, sum of z-scores (ours)", .arm = pruning_arm("tracin_zsum", alpha)},
          {.method = "random, as many samples as DDP", .arm = pruning_arm("random", alpha)}};
}

eval::Predictions part_of(const eval::Predictions& rewards, const std::vector<std::string>& ids) {
  return ids.empty() ? rewards : eval::rows_with_ids(rewards, ids);
}

}  // namespace

ResultTable spearman_table(Study& study, const std::vector<Run>& runs, const std::string& title, const core::Context& context,
                           const std::function<std::vector<std::string>(int64_t seed)>& ids) {
  ResultTable table{.title = title, .columns = {}, .rows = {}, .scale = 100, .digits = 2};
  std::vector<eval::Predictions> baseline;
  for (const Run& run : runs) {
    std::vector<eval::Predictions> rewards;
    SeedColumns columns;
    for (int64_t s = 0; s < study.seeds(); ++s) {
      rewards.push_back(part_of(study.test_rewards(run.group, s, run.arm), ids ? ids(s) : std::vector<std::string>{}));
      const eval::EvalResult result = eval::evaluate_spearman(rewards.back(), 1, 42, context.threads);
      std::vector<double> values;
      for (const auto& dimension : result.dimensions) values.push_back(dimension.spearman);
      values.push_back(result.mean);
      columns.add(values);
      if (table.columns.empty()) {
        for (const auto& dimension : result.dimensions) table.columns.push_back(dimension.name);
        table.columns.emplace_back("mean");
      }
    }
    ResultRow row{.method = run.method, .values = columns.summaries()};
    if (run.arm.name == kBaseline.name) {
      baseline = std::move(rewards);
    } else {
      std::vector<const eval::Predictions*> a, b;
      for (const auto& one : baseline) a.push_back(&one);
      for (const auto& one : rewards) b.push_back(&one);
      row.gain = spearman_gain(a, b, study.config().experiment.resamples);
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

Needs main_needs(const ExperimentConfig& config) {
  Needs needs{.runs = {baseline_run(),
                       {.method = "uncertainty weighting", .arm = balancing_arm("uncertainty_weighting")},
                       {.method = "uncertainty weighting at the model's learning rate",
                        .arm = {.name = "uncertainty_weighting-model-lr", .balance = "uncertainty_weighting", .balance_at_model_lr = true}},
                       {.method = "RLW", .arm = balancing_arm("rlw")},
                       {.method = "PCGrad", .arm = balancing_arm("pcgrad")}}};
  const auto runs = data_side_runs(config.experiment.alpha, config.experiment.tau);
  needs.runs.insert(needs.runs.end(), runs.begin(), runs.end());
  if (config.renders() || !config.data.clean.empty()) {
    needs.runs.push_back({.method = "right labels (upper bound)", .arm = {.name = "clean", .clean_labels = true}});
  }
  return needs;
}

Needs row_sum_needs(const ExperimentConfig& config) {
  const double alpha = config.experiment.alpha, tau = config.experiment.tau;
  return {.runs = {baseline_run(),
                   {.method = "DDP, diagonal", .arm = pruning_arm("ddp", alpha)},
                   {.method = "DDP, row sums", .arm = pruning_arm("row_sum_ddp", alpha, "match_union")},
                   {.method = "DDR, diagonal", .arm = reweighting_arm("ddr", tau)},
                   {.method = "DDR, row sums", .arm = reweighting_arm("row_sum_ddr", tau)}}};
}

Needs backbone_needs(const ExperimentConfig& config) {
  Needs needs;
  for (const Group group : {Group::main, Group::backbone}) {
    const std::string which = group == Group::main ? "first: " : "second: ";
    needs.runs.push_back(baseline_run(group));
    needs.runs.push_back({.method = "DDP", .group = group, .arm = pruning_arm("ddp", config.experiment.alpha)});
    needs.runs.push_back({.method = "DDR", .group = group, .arm = reweighting_arm("ddr", config.experiment.tau)});
    for (size_t i = needs.runs.size() - 3; i < needs.runs.size(); ++i) needs.runs[i].method = which + needs.runs[i].method;
  }
  return needs;
}

Needs tau_needs(const ExperimentConfig& config) {
  Needs needs{.runs = {baseline_run()}};
  for (const double tau : config.experiment.taus) needs.runs.push_back({.method = "DDR, tau " + text_of(tau), .arm = reweighting_arm("ddr", tau)});
  return needs;
}

Needs seeds_needs(const ExperimentConfig& config) {
  return {.runs = {baseline_run(Group::same_data),
                   {.method = "DDP", .group = Group::same_data, .arm = pruning_arm("ddp", config.experiment.alpha)},
                   {.method = "DDR", .group = Group::same_data, .arm = reweighting_arm("ddr", config.experiment.tau)}}};
}

Needs combine_needs(const ExperimentConfig& config) {
  const double alpha = config.experiment.alpha, tau = config.experiment.tau;
  return {.runs = {baseline_run(),
                   {.method = "DDP", .arm = pruning_arm("ddp", alpha)},
                   {.method = "DDR", .arm = reweighting_arm("ddr", tau)},
                   {.method = "DDP, then DDR on what is left", .arm = pruning_and_reweighting_arm(alpha, tau)}}};
}

void tabulate_spearman(Study& study, const Needs& needs, SuiteResult& result, const core::Context& context) {
  result.tables.push_back(spearman_table(study, needs.runs, "Spearman x100 on the test clips", context));
}

void tabulate_tau(Study& study, const Needs& needs, SuiteResult& result, const core::Context& context) {
  tabulate_spearman(study, needs, result, context);
  const ResultTable& table = result.tables.front();
  std::vector<std::string> taus;
  for (const double tau : study.config().experiment.taus) taus.push_back(text_of(tau));
  std::vector<Curve> curves;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    Curve curve{.name = table.columns[c], .values = {}};
    for (size_t r = 1; r < table.rows.size(); ++r) curve.values.push_back(100 * table.rows[r].values[c].mean);
    curves.push_back(std::move(curve));
  }
  result.figures.push_back({.name = "tau", .caption = "Spearman x100 by temperature, mean over seeds", .svg = curves_svg(taus, curves, "tau")});
}

void tabulate_seeds(Study& study, const Needs& needs, SuiteResult& result, const core::Context& context) {
  tabulate_spearman(study, needs, result, context);
  ResultTable by_seed{.title = "Mean over dimensions x100, seed by seed", .columns = {}, .rows = {}, .scale = 100, .digits = 2};
  for (int64_t s = 0; s < study.seeds(); ++s) by_seed.columns.push_back("seed " + std::to_string(study.runs(Group::same_data, s).seed()));
  for (const Run& run : needs.runs) {
    ResultRow row{.method = run.method, .values = {}};
    for (int64_t s = 0; s < study.seeds(); ++s) {
      row.values.push_back(summarise({eval::evaluate_spearman(study.test_rewards(run.group, s, run.arm), 1, 42, context.threads).mean}));
    }
    by_seed.rows.push_back(std::move(row));
  }
  result.tables.push_back(std::move(by_seed));
  result.notes.emplace_back("All seeds train on the data of the first one: what differs is the order of the samples and the head they start from.");
}

}  // namespace mvrm::experiment
