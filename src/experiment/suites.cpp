// SPDX-License-Identifier: Apache-2.0
// The whole list of suites on one screen.
#include "suite_table.h"

namespace mvrm::experiment {

namespace {

std::string nothing(const ExperimentConfig&) { return {}; }
std::string lacks_pairs(const ExperimentConfig& config) {
  return config.render.pairs > 0 || !config.data.pairs.empty() ? "" : "pairs of clips: give data.pairs and data.votes, or render.pairs";
}
std::string lacks_corrections(const ExperimentConfig& config) {
  const bool known = config.renders() || !config.data.truth.empty() || !config.experiment.corrections.empty();
  return known ? "" : "the right labels: give experiment.corrections, or data.truth";
}
std::string lacks_backbone(const ExperimentConfig& config) {
  const bool trains = !config.backbone.init.empty() && config.backbone.videos > 0 && config.backbone.steps > 0;
  return !config.backbone.model.empty() || trains ? "" : "a second backbone: give backbone.model, or backbone.init, videos and steps";
}

}  // namespace

const std::vector<Suite>& suite_table() {
  static const std::vector<Suite> suites{
      {"main", "Balancing, pruning and reweighting", "Table 1 of the paper. Mean Spearman x100 there: equal weighting 68.26, uncertainty weighting 68.21, "
       "High-Loss 68.67, DDP 69.57; PCGrad ran out of memory.", nothing, main_needs, tabulate_spearman},
      {"row-sum", "Row sums of the influence matrix instead of its diagonal", "Table 2 of the paper.", nothing, row_sum_needs, tabulate_spearman},
      {"genai-bench", "Preferences between clips of another kind", "Table 3 of the paper: pairwise accuracy on GenAI-Bench.", lacks_pairs, pairs_needs,
       tabulate_pairs},
      {"correction", "The riskiest labels of one dimension, corrected", "Table 4 of the paper: the top 1 % of text-to-video alignment; 84.8 % of these "
       "have the lowest label there.", lacks_corrections, correction_needs, tabulate_correction},
      {"backbone", "Another model to start from", "Table 5 of the paper.", lacks_backbone, backbone_needs, tabulate_spearman},
      {"tau", "The temperature of reweighting", "Table 6 of the paper.", nothing, tau_needs, tabulate_tau},
      {"seeds", "The same data, other seeds", "Table 7 of the paper: standard deviations of 0.24 to 0.83 (x100) in single dimensions.", nothing, seeds_needs,
       tabulate_seeds},
      {"alpha", "The pruning ratio, and its choice on a validation split", "Table 8 and Figure 2 of the paper; the best ratios there are 0.1 % (visual "
       "quality, text-to-video alignment) and 0.5 % (the others).", nothing, alpha_needs, tabulate_alpha},
      {"overlap", "How many samples the dimensions share", "Table 9 of the paper: 0.5 % of each of five dimensions are 2.14 % of the samples.", nothing,
       profile_needs, tabulate_overlap},
      {"noise", "Wrong labels, found", "Table 10 of the paper: AUROC of 0.956 to 0.990 with 10 % of the labels of a dimension corrupted.", nothing, noise_needs,
       tabulate_noise},
      {"scatter", "Self-influence of two dimensions, and what the scalar one misses", "Figures 3 and 5 of the paper.", nothing, profile_needs, tabulate_scatter},
      {"combine", "Pruning, then reweighting", "Section B.9 of the paper.", nothing, combine_needs, tabulate_spearman},
      {"frames", "Where in time the risk sits", "Not in the paper.", nothing, profile_needs, tabulate_frames},
  };
  return suites;
}

std::vector<SuiteEntry> suites() {
  std::vector<SuiteEntry> entries;
  for (const auto& suite : suite_table()) entries.push_back({suite.name, suite.title});
  return entries;
}

}  // namespace mvrm::experiment
