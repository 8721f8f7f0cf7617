// SPDX-License-Identifier: Apache-2.0
// Suites that read profiles and train nothing of their own: overlap, noise.
#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <mvrm/core/random.h>
#include <mvrm/refine/detection.h>
#include <mvrm/refine/noise_experiment.h>
#include <mvrm/refine/risk.h>
#include <mvrm/refine/strategy.h>
#include <numeric>

#include "gain.h"
#include "seed_columns.h"
#include "suite_table.h"
#include "truth.h"

namespace mvrm::experiment {

namespace {

std::vector<double> with_mean(std::vector<double> values) {
  double sum = 0;
  int64_t defined = 0;
  for (const double x : values) {
    if (std::isnan(x)) continue;
    sum += x;
    ++defined;
  }
  values.push_back(defined > 0 ? sum / static_cast<double>(defined) : std::nan(""));
  return values;
}

std::vector<std::string> with_mean(std::vector<std::string> names) {
  names.emplace_back("mean");
  return names;
}

Group noise_group(const ExperimentConfig& config) { return config.renders() || !config.data.truth.empty() ? Group::main : Group::planted; }

at::Tensor random_risk(const influence::Profile& profile, uint64_t seed) {
  at::Tensor risk_NK = at::empty(profile.label_NK.sizes(), at::kDouble);
  core::CounterRng rng(seed, "random risk");
  for (int64_t i = 0; i < risk_NK.numel(); ++i) risk_NK.mutable_data_ptr<double>()[i] = rng.uniform();
  return risk_NK.masked_fill(profile.label_NK.isnan(), std::nan(""));
}

using Metric = double (*)(const refine::Detection&);
constexpr std::pair<const char*, Metric> kMetrics[] = {
    {"Area under the ROC curve (0.5 = chance)", [](const refine::Detection& d) { return d.auroc; }},
    {"Average precision", [](const refine::Detection& d) { return d.average_precision; }},
    {"Precision among as many labels as are wrong", [](const refine::Detection& d) { return d.precision_at_positives; }},
};

std::vector<ResultTable> detection_tables(Study& study, Group group) {
  std::vector<std::string> names = refine::available_risks(study.profile(group, 0));
  names.emplace_back("random");
  std::vector<ResultTable> tables;
  for (const auto& [title, metric] : kMetrics) tables.push_back({.title = title, .columns = with_mean(study.profile(group, 0).dimensions), .rows = {}, .digits = 3});
  std::vector<std::vector<double>> reference(std::size(kMetrics));
  for (const auto& name : names) {
    std::vector<SeedColumns> columns(std::size(kMetrics));
    for (int64_t s = 0; s < study.seeds(); ++s) {
      const influence::Profile& profile = study.profile(group, s);
      const SeedRuns& runs = study.runs(group, s);
      const at::Tensor risk_NK = name == "random" ? random_risk(profile, runs.seed()) : refine::risk_named(name, profile);
      const auto found = refine::detect(risk_NK, refine::read_truth(runs.data().truth, profile));
      for (size_t m = 0; m < std::size(kMetrics); ++m) {
        std::vector<double> values;
        for (const auto& detection : found) values.push_back(kMetrics[m].second(detection));
        columns[m].add(with_mean(values));
      }
    }
    for (size_t m = 0; m < std::size(kMetrics); ++m) {
      ResultRow row{.method = name, .values = columns[m].summaries()};
      if (reference[m].empty()) reference[m] = columns[m].back();
      else row.gain = seed_gain(reference[m], columns[m].back());
      tables[m].rows.push_back(std::move(row));
    }
  }
  return tables;
}

// The profile as if its labels were the right ones.
influence::Profile with_true_labels(influence::Profile profile, const std::filesystem::path& truth_file) {
  const TrueLabels truth = read_true_labels(truth_file);
  profile.label_NK = profile.label_NK.clone();
  for (size_t n = 0; n < profile.ids.size(); ++n) {
    for (size_t k = 0; k < profile.dimensions.size(); ++k) {
      at::Tensor label = profile.label_NK[static_cast<int64_t>(n)][static_cast<int64_t>(k)];
      if (!label.isnan().item<bool>()) label.fill_(true_label(truth, profile.ids[n], profile.dimensions[k]));
    }
  }
  profile.residual_NK = profile.prediction_NK - profile.label_NK;
  return profile;
}

// Which way of being wrong is found how well: planted into the right labels, with a head that is fitted to them.
ResultTable kinds_table(Study& study, Group group) {
  ResultTable table{.title = "Mean AUROC by kind of error, planted into the right labels and found with a refitted head", .columns = {}, .rows = {}, .digits = 3};
  constexpr refine::NoiseKind kKinds[] = {refine::NoiseKind::uniform_other, refine::NoiseKind::uniform_any, refine::NoiseKind::strict,
                                          refine::NoiseKind::farthest, refine::NoiseKind::reversed, refine::NoiseKind::adjacent};
  for (const auto kind : kKinds) {
    SeedColumns columns;
    for (int64_t s = 0; s < study.seeds(); ++s) {
      const SeedRuns& runs = study.runs(group, s);
      const influence::Profile right = with_true_labels(study.profile(group, s), runs.data().truth);
      const auto found = refine::noise_experiment(right, {.kind = kind, .share = study.config().experiment.noise, .seed = runs.seed(),
                                                          .levels = refine::levels_of(right.label_NK)});
      std::vector<double> values;
      std::vector<std::string> names;
      for (const auto& [name, detection_K] : found.detection) {
        std::vector<double> areas;
        for (const auto& detection : detection_K) areas.push_back(detection.auroc);
        values.push_back(with_mean(areas).back());
        names.push_back(name);
      }
      values.push_back(std::accumulate(found.residual_deviation_K.begin(), found.residual_deviation_K.end(), 0.0) / static_cast<double>(found.residual_deviation_K.size()));
      names.emplace_back("residual sd of right labels");
      table.columns = std::move(names);
      columns.add(values);
    }
    table.rows.push_back({.method = refine::name_of(kind), .values = columns.summaries()});
  }
  return table;
}

}  // namespace

Needs profile_needs(const ExperimentConfig&) { return {.runs = {baseline_run()}, .profiles = {Group::main}}; }

Needs noise_needs(const ExperimentConfig& config) { return {.runs = {baseline_run(noise_group(config))}, .profiles = {noise_group(config)}}; }

void tabulate_overlap(Study& study, const Needs&, SuiteResult& result, const core::Context&) {
  const auto& dimensions = study.profile(Group::main, 0).dimensions;
  ResultTable unions{.title = "Samples in percent that the first 1, 2, … dimensions select", .columns = {}, .rows = {}, .digits = 2};
  for (size_t k = 0; k < dimensions.size(); ++k) unions.columns.push_back((k > 0 ? "+ " : "") + dimensions[k]);
  for (const double alpha : study.config().experiment.alphas) {
    SeedColumns columns;
    for (int64_t s = 0; s < study.seeds(); ++s) {
      const influence::Profile& profile = study.profile(Group::main, s);
      const auto summary = refine::refine(profile, {.strategy = "ddp", .alpha_percent_K = {alpha}}).second;
      std::vector<double> shares;
      for (const int64_t count : summary.cumulative_union) shares.push_back(100 * static_cast<double>(count) / static_cast<double>(profile.ids.size()));
      columns.add(shares);
    }
    unions.rows.push_back({.method = "alpha " + text_of(alpha) + " %", .values = columns.summaries()});
  }
  const double alpha = study.config().experiment.alpha;
  ResultTable pairs{.title = "Jaccard overlap of what two dimensions select at alpha " + text_of(alpha) + " %", .columns = dimensions, .rows = {}, .digits = 3};
  for (size_t j = 0; j < dimensions.size(); ++j) {
    SeedColumns columns;
    for (int64_t s = 0; s < study.seeds(); ++s) {
      const influence::Profile& profile = study.profile(Group::main, s);
      const at::Tensor top_NK = refine::top_cells(profile.self_influence_NK, std::vector<double>(dimensions.size(), alpha), profile.ids).to(at::kBool);
      std::vector<double> overlaps;
      for (size_t k = 0; k < dimensions.size(); ++k) {
        const at::Tensor a = top_NK.select(1, static_cast<int64_t>(j)), b = top_NK.select(1, static_cast<int64_t>(k));
        overlaps.push_back(a.logical_and(b).sum().item<double>() / a.logical_or(b).sum().item<double>());
      }
      columns.add(overlaps);
    }
    pairs.rows.push_back({.method = dimensions[j], .values = columns.summaries()});
  }
  result.tables = {std::move(unions), std::move(pairs)};
}

void tabulate_noise(Study& study, const Needs&, SuiteResult& result, const core::Context&) {
  const Group group = noise_group(study.config());
  result.tables = detection_tables(study, group);
  result.tables.push_back(kinds_table(study, group));
  result.notes.emplace_back("The model was trained on the wrong labels too. Gains are over self-influence, the first row.");
}

}  // namespace mvrm::experiment
