// SPDX-License-Identifier: Apache-2.0
// Suites scatter and frames: pictures of one profile, and the numbers behind them over all seeds. N samples, K dimensions, F frames.
#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <mvrm/core/random.h>
#include <mvrm/influence/estimator.h>
#include <mvrm/refine/detection.h>
#include <mvrm/refine/strategy.h>

#include "figures.h"
#include "seed_columns.h"
#include "suite_table.h"

namespace mvrm::experiment {

namespace {

constexpr int64_t kPoints = 1200;   // drawn in a panel
constexpr int64_t kParts = 4;       // of a clip, in suite frames

at::Tensor top_labels(const influence::Profile& profile, double alpha) {
  return refine::top_cells(profile.self_influence_NK, std::vector<double>(profile.dimensions.size(), alpha), profile.ids).to(at::kBool);
}

// 0..1 by the smallest and largest value of each column.
at::Tensor normalised(const at::Tensor& risk_NK) {
  const at::Tensor low_K = std::get<0>(risk_NK.nan_to_num(INFINITY).min(0)), high_K = std::get<0>(risk_NK.nan_to_num(-INFINITY).max(0));
  return (risk_NK - low_K) / (high_K - low_K).clamp_min(1e-300);
}

// Rank of each value in 0..1: scalar influence is so skewed that its own scale would leave one colour.
at::Tensor rank_share(const at::Tensor& value_N) {
  return value_N.argsort().argsort().to(at::kDouble) / static_cast<double>(std::max<int64_t>(1, value_N.numel() - 1));
}

report::Figure scatter_figure(const influence::Profile& profile, double alpha, uint64_t seed) {
  const at::Tensor risk_NK = profile.self_influence_NK.to(at::kDouble), scalar_N = influence::tracin_scalar(risk_NK);
  const at::Tensor top_N = top_labels(profile, alpha).any(1);
  std::vector<std::pair<double, int64_t>> order;   // the risky ones first, then by lot
  for (int64_t n = 0; n < risk_NK.size(0); ++n) {
    const double lot = core::CounterRng(seed, "scatter " + profile.ids[static_cast<size_t>(n)]).uniform();
    order.emplace_back(top_N[n].item<bool>() ? lot - 1 : lot, n);
  }
  std::sort(order.begin(), order.end());
  std::vector<int64_t> shown;
  for (size_t i = 0; i < order.size() && i < static_cast<size_t>(kPoints); ++i) shown.push_back(order[i].second);
  const at::Tensor rows = at::tensor(shown);
  return {.name = "scatter", .caption = "Self-influence of two dimensions, each from its smallest to its largest value; red: large scalar influence, blue: "
          "small, by rank; " + std::to_string(shown.size()) + " of " + std::to_string(order.size()) + " samples of the first seed, the riskiest among them",
          .svg = scatter_svg(normalised(risk_NK).index_select(0, rows), rank_share(scalar_N).index_select(0, rows), profile.dimensions)};
}

// Of the riskiest labels of a dimension, those whose sample scalar influence would have kept at the same number of samples.
at::Tensor missed_labels(const influence::Profile& profile, double alpha) {
  const auto scalar = refine::refine(profile, {.strategy = "tracin", .alpha_percent_K = {alpha}}).first;
  at::Tensor kept_N = at::empty({static_cast<int64_t>(scalar.keep_N.size())}, at::kBool);
  for (size_t n = 0; n < scalar.keep_N.size(); ++n) kept_N.mutable_data_ptr<bool>()[n] = scalar.keep_N[n] != 0;
  return top_labels(profile, alpha).logical_and(kept_N.unsqueeze(1));
}

std::vector<double> shares(const at::Tensor& part_NK, const at::Tensor& whole_NK) {
  std::vector<double> values;
  for (int64_t k = 0; k < part_NK.size(1); ++k) {
    const double whole = whole_NK.select(1, k).sum().item<double>();
    values.push_back(whole > 0 ? part_NK.select(1, k).sum().item<double>() / whole : std::nan(""));
  }
  const double whole = whole_NK.sum().item<double>();
  values.push_back(whole > 0 ? part_NK.sum().item<double>() / whole : std::nan(""));
  return values;
}

ResultRow row_over_seeds(const std::string& method, int64_t seeds, const std::function<std::vector<double>(int64_t)>& values_of) {
  SeedColumns columns;
  for (int64_t s = 0; s < seeds; ++s) columns.add(values_of(s));
  return {.method = method, .values = columns.summaries()};
}

// The frame f at which the reward moved farthest the wrong way, argmax r (s_f - s_{f-1}), as a part 0..kParts-1 of the clip; -1 where the
// profile has no prefixes. The first frame moves the reward from nothing, so it takes no part.
int64_t part_of_blame(const influence::Profile& profile, int64_t n, int64_t k) {
  const at::Tensor prefix_F = profile.prefix_prediction_NFK[n].select(1, k).to(at::kDouble).contiguous();
  const double residual = profile.residual_NK[n][k].item<double>();
  const double* reward = prefix_F.const_data_ptr<double>();
  int64_t frames = 0, worst = -1;
  while (frames < prefix_F.numel() && std::isfinite(reward[frames])) ++frames;
  for (int64_t f = 1; f < frames; ++f) {
    if (worst < 0 || residual * (reward[f] - reward[f - 1]) > residual * (reward[worst] - reward[worst - 1])) worst = f;
  }
  return worst < 0 ? -1 : std::min<int64_t>(kParts - 1, (worst - 1) * kParts / (frames - 1));
}

std::vector<double> parts_of_blame(const influence::Profile& profile, const at::Tensor& chosen_N, int64_t k) {
  std::vector<double> parts(kParts, 0);
  double sum = 0;
  for (int64_t n = 0; n < chosen_N.numel(); ++n) {
    if (!chosen_N[n].item<bool>()) continue;
    const int64_t part = part_of_blame(profile, n, k);
    if (part < 0) continue;
    parts[static_cast<size_t>(part)] += 1;
    sum += 1;
  }
  for (double& part : parts) part = sum > 0 ? part / sum : std::nan("");
  return parts;
}

// Mean squared residual of the clip cut behind each frame, over the labels that are chosen.
Curve risk_by_frame(const influence::Profile& profile, int64_t k) {
  const at::Tensor residual_NF = profile.prefix_prediction_NFK.select(2, k).to(at::kDouble) - profile.label_NK.select(1, k).unsqueeze(1).to(at::kDouble);
  const at::Tensor mean_F = residual_NF.square().nanmean(at::IntArrayRef{0}).contiguous();
  return {.name = profile.dimensions[static_cast<size_t>(k)], .values = {mean_F.const_data_ptr<double>(), mean_F.const_data_ptr<double>() + mean_F.numel()}};
}

}  // namespace

void tabulate_scatter(Study& study, const Needs&, SuiteResult& result, const core::Context&) {
  const double alpha = study.config().experiment.alpha;
  const auto& first = study.profile(Group::main, 0);
  ResultTable table{.title = "Riskiest " + text_of(alpha) + " % of each dimension, in percent", .columns = first.dimensions, .rows = {}, .scale = 100, .digits = 1};
  table.columns.emplace_back("all");
  table.rows.push_back(row_over_seeds("missed by scalar influence at the same number of samples", study.seeds(), [&](int64_t s) {
    const auto& profile = study.profile(Group::main, s);
    return shares(missed_labels(profile, alpha), top_labels(profile, alpha));
  }));
  if (study.config().renders() || !study.config().data.truth.empty()) {
    const auto wrong = [&](int64_t s) { return refine::read_truth(study.runs(Group::main, s).data().truth, study.profile(Group::main, s)).to(at::kBool); };
    table.rows.push_back(row_over_seeds("wrong among the riskiest", study.seeds(), [&](int64_t s) {
      const at::Tensor top_NK = top_labels(study.profile(Group::main, s), alpha);
      return shares(top_NK.logical_and(wrong(s)), top_NK);
    }));
    table.rows.push_back(row_over_seeds("wrong among those missed", study.seeds(), [&](int64_t s) {
      const at::Tensor missed_NK = missed_labels(study.profile(Group::main, s), alpha);
      return shares(missed_NK.logical_and(wrong(s)), missed_NK);
    }));
  }
  result.tables.push_back(std::move(table));
  result.figures.push_back(scatter_figure(first, alpha, study.config().experiment.seed));
}

void tabulate_frames(Study& study, const Needs&, SuiteResult& result, const core::Context&) {
  const auto& first = study.profile(Group::main, 0);
  if (!first.prefix_prediction_NFK.defined() || first.prefix_prediction_NFK.size(1) < 2) {
    result.notes.emplace_back("The frames of these clips can't be told apart in the prompt, so there are no rewards of cut clips to look at.");
    result.tables.push_back({.title = "no prefixes", .columns = {}, .rows = {}});
    return;
  }
  const double alpha = study.config().experiment.alpha;
  ResultTable table{.title = "Frame of blame by quarter of the clip, in percent of the labels", .columns = {"first quarter", "second", "third", "last"}, .rows = {},
                    .scale = 100, .digits = 1};
  for (size_t k = 0; k < first.dimensions.size(); ++k) {
    const auto at_k = static_cast<int64_t>(k);
    const auto of_profile = [&](bool risky) {
      return [&study, at_k, alpha, risky](int64_t s) {
        const auto& profile = study.profile(Group::main, s);
        const at::Tensor top_N = top_labels(profile, alpha).select(1, at_k), labelled_N = profile.label_NK.select(1, at_k).isfinite();
        return parts_of_blame(profile, risky ? top_N : labelled_N.logical_and(top_N.logical_not()), at_k);
      };
    };
    table.rows.push_back(row_over_seeds(first.dimensions[k] + ", riskiest " + text_of(alpha) + " %", study.seeds(), of_profile(true)));
    table.rows.push_back(row_over_seeds(first.dimensions[k] + ", the others", study.seeds(), of_profile(false)));
  }
  result.tables.push_back(std::move(table));
  std::vector<Curve> curves;
  std::vector<std::string> places;
  for (int64_t k = 0; k < static_cast<int64_t>(first.dimensions.size()); ++k) curves.push_back(risk_by_frame(first, k));
  for (int64_t f = 1; f <= first.prefix_prediction_NFK.size(1); ++f) places.push_back(std::to_string(f));
  result.figures.push_back({.name = "frames", .caption = "Mean squared residual of the clip cut behind each frame, first seed", .svg = curves_svg(places, curves, "frame")});
  result.notes.emplace_back("Frame of blame: where the reward of the clip cut behind it moves farthest in the direction of the final error. `mvrm explain` shows single clips, "
                            "with regions.");
}

}  // namespace mvrm::experiment
