// SPDX-License-Identifier: Apache-2.0
// Suite alpha: every ratio is tried on all dimensions at once; on a validation part of the test clips each dimension chooses the one that is
// best for it; what is reported comes from the other part.
#include <cmath>
#include <mvrm/core/error.h>
#include <mvrm/eval/split.h>

#include "figures.h"
#include "seed_columns.h"
#include "suite_table.h"

namespace mvrm::experiment {

namespace {

eval::Split split_of(Study& study, int64_t seed) {
  return eval::split_by_id(study.test_rewards(Group::main, seed, kBaseline).ids, study.config().experiment.seed);
}

eval::EvalResult on_validation(Study& study, int64_t seed, double alpha) {
  const auto& rewards = study.test_rewards(Group::main, seed, pruning_arm("ddp", alpha));
  return eval::evaluate_spearman(eval::rows_with_ids(rewards, split_of(study, seed).validation), 1);
}

// The smallest among equally good ones.
config::ScalarOrMap chosen_alpha(Study& study, int64_t seed) {
  config::ScalarOrMap chosen;
  std::map<std::string, double> best;
  for (const double alpha : study.config().experiment.alphas) {
    for (const auto& dimension : on_validation(study, seed, alpha).dimensions) {
      const bool better = !best.contains(dimension.name) || dimension.spearman > best[dimension.name];
      if (!chosen.map.contains(dimension.name) || better) {
        chosen.map[dimension.name] = alpha;
        best[dimension.name] = std::isnan(dimension.spearman) ? -1 : dimension.spearman;
      }
    }
  }
  return chosen;
}

Arm chosen_arm(Study& study, int64_t seed) {
  return {.name = "ddp-alpha-chosen", .refine = {.strategy = "ddp", .alpha = chosen_alpha(study, seed)}};
}

ResultTable choice_table(Study& study, const std::vector<std::string>& dimensions) {
  ResultTable table{.title = "Chosen ratio in percent", .columns = dimensions, .rows = {}, .scale = 1, .digits = 2};
  SeedColumns all;
  for (int64_t s = 0; s < study.seeds(); ++s) {
    const auto chosen = chosen_alpha(study, s);
    std::vector<double> alpha_K;
    for (const auto& dimension : dimensions) alpha_K.push_back(chosen.map.at(dimension));
    SeedColumns alone;
    alone.add(alpha_K);
    all.add(alpha_K);
    table.rows.push_back({.method = "seed " + std::to_string(study.runs(Group::main, s).seed()), .values = alone.summaries()});
  }
  table.rows.push_back({.method = "mean", .values = all.summaries()});
  return table;
}

report::Figure validation_figure(Study& study, const std::vector<std::string>& dimensions) {
  std::vector<Curve> curves;
  std::vector<std::string> places;
  for (const auto& name : dimensions) curves.push_back({.name = name, .values = {}});
  curves.push_back({.name = "mean", .values = {}});
  for (const double alpha : study.config().experiment.alphas) {
    places.push_back(text_of(alpha));
    SeedColumns columns;
    for (int64_t s = 0; s < study.seeds(); ++s) {
      const auto result = on_validation(study, s, alpha);
      std::vector<double> spearman;
      for (const auto& dimension : result.dimensions) spearman.push_back(100 * dimension.spearman);
      spearman.push_back(100 * result.mean);
      columns.add(spearman);
    }
    const auto means = columns.summaries();
    for (size_t c = 0; c < curves.size(); ++c) curves[c].values.push_back(means[c].mean);
  }
  return {.name = "alpha", .caption = "Spearman x100 on the validation part by pruning ratio in percent, mean over seeds",
          .svg = curves_svg(places, curves, "alpha, percent")};
}

}  // namespace

Needs alpha_needs(const ExperimentConfig& config) {
  Needs needs{.runs = {baseline_run()}};
  for (const double alpha : config.experiment.alphas) {
    needs.runs.push_back({.method = "DDP, alpha " + text_of(alpha) + " %", .arm = pruning_arm("ddp", alpha)});
  }
  needs.runs.push_back({.method = "DDP, alpha chosen by dimension", .arm = {.name = "ddp-alpha-chosen"}, .decide = chosen_arm});
  return needs;
}

void tabulate_alpha(Study& study, const Needs& needs, SuiteResult& result, const core::Context& context) {
  result.tables.push_back(spearman_table(study, needs.runs, "Spearman x100 on the 60 % of the test clips that chose nothing", context,
                                         [&](int64_t s) { return split_of(study, s).test; }));
  result.tables.push_back(spearman_table(study, needs.runs, "Spearman x100 on all test clips", context));
  std::vector<std::string> dimensions = result.tables.front().columns;
  dimensions.pop_back();
  result.tables.push_back(choice_table(study, dimensions));
  result.figures.push_back(validation_figure(study, dimensions));
}

}  // namespace mvrm::experiment
