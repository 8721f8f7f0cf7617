// SPDX-License-Identifier: Apache-2.0
// The ridge head against refitting from scratch: an independent solver (normal equations with the bias as a column, LU) does what the
// closed forms claim. Float64.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/influence/leverage.h>
#include <mvrm/influence/whatif.h>

#include <cmath>
#include <limits>

#include "tests/influence/random_table.h"
#include "tests/support/program.h"

namespace {

using namespace mvrm;
using test::normal_table;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kRows = 80, kWidth = 7, kDimensions = 3;

struct Data {
  at::Tensor feature_ND = normal_table({kRows, kWidth}, 1) + 2.0, label_NK;
  Data() {
    label_NK = feature_ND.mm(normal_table({kWidth, kDimensions}, 2)) + 0.5 * normal_table({kRows, kDimensions}, 3) + 3.0;
  }
};

// Ridge with a free bias in dimension k, by LU over [h, 1]; rows with NaN labels are left out.
at::Tensor refit(const at::Tensor& feature_ND, const at::Tensor& label_N, double lambda) {
  const at::Tensor rows = label_N.isfinite().nonzero().flatten();
  const at::Tensor wide = at::cat({feature_ND.index_select(0, rows), at::ones({rows.numel(), 1}, at::kDouble)}, 1);
  at::Tensor normal = wide.t().mm(wide);
  normal.diagonal().narrow(0, 0, feature_ND.size(1)).add_(lambda);
  return at::linalg_solve(normal, wide.t().mv(label_N.index_select(0, rows)));
}
at::Tensor reward(const at::Tensor& head, const at::Tensor& feature_TD) { return feature_TD.mv(head.slice(0, 0, feature_TD.size(1))) + head[-1]; }

TEST(RidgeHead, IsTheRidgeSolution) {
  const Data data;
  const auto head = influence::fit_ridge(data.feature_ND, data.label_NK, {.lambda = 0.7});
  ASSERT_EQ(head.groups.size(), 1U) << "complete labels share one factor";
  const at::Tensor probe_TD = normal_table({5, kWidth}, 4), rewards_TK = influence::predict(head, probe_TD);
  for (int64_t k = 0; k < kDimensions; ++k) {
    EXPECT_TRUE(at::allclose(rewards_TK.select(1, k), reward(refit(data.feature_ND, data.label_NK.select(1, k), 0.7), probe_TD), 1e-10, 1e-10));
  }
}

TEST(RidgeHead, LeaveOneOutIsRefittingWithoutTheSample) {
  Data data;
  data.label_NK[4][1] = kNan;   // its dimension gets a factor of its own
  const auto head = influence::fit_ridge(data.feature_ND, data.label_NK, {.lambda = 0.7});
  EXPECT_EQ(head.groups.size(), 2U);
  const auto d = influence::diagnostics(head, data.feature_ND, data.label_NK);
  const at::Tensor probe_TD = normal_table({3, kWidth}, 4);
  EXPECT_TRUE(d.loo_residual_NK[4][1].isnan().item<bool>());
  for (int64_t k = 0; k < kDimensions; ++k) {
    const at::Tensor effect_TN = influence::leave_one_out_effects(head, data.feature_ND, data.label_NK, probe_TD).at(static_cast<size_t>(k));
    const at::Tensor all = reward(refit(data.feature_ND, data.label_NK.select(1, k), 0.7), probe_TD);
    for (int64_t n = 0; n < 50; ++n) {
      if (n == 4 && k == 1) continue;
      at::Tensor label_N = data.label_NK.select(1, k).clone();
      label_N[n] = kNan;
      const at::Tensor without = refit(data.feature_ND, label_N, 0.7);
      const double expected = (reward(without, data.feature_ND.narrow(0, n, 1))[0] - data.label_NK[n][k]).item<double>();
      EXPECT_NEAR(d.loo_residual_NK[n][k].item<double>(), expected, 1e-8 * std::abs(expected)) << n << " " << k;
      const at::Tensor moved_T = reward(without, probe_TD) - all;
      EXPECT_LT((effect_TN.select(1, n) - moved_T).abs().max().item<double>(), 1e-10) << n << " " << k;
    }
  }
}

TEST(RidgeHead, DiagnosticsKeepTheirDefinitions) {
  const Data data;
  const double lambda = 2.0;
  const auto head = influence::fit_ridge(data.feature_ND, data.label_NK, {.lambda = lambda});
  const auto d = influence::diagnostics(head, data.feature_ND, data.label_NK);
  // The hat matrix from the definition.
  const at::Tensor wide = at::cat({data.feature_ND, at::ones({kRows, 1}, at::kDouble)}, 1);
  at::Tensor normal = wide.t().mm(wide);
  normal.diagonal().narrow(0, 0, kWidth).add_(lambda);
  const at::Tensor hat_N = wide.mm(at::linalg_inv(normal)).mul(wide).sum(1);
  EXPECT_TRUE(at::allclose(d.leverage_NK, hat_N.unsqueeze(1).expand({kRows, kDimensions}), 1e-10, 1e-12));
  const double parameters = hat_N.sum().item<double>();
  for (int64_t k = 0; k < kDimensions; ++k) {
    const at::Tensor all = refit(data.feature_ND, data.label_NK.select(1, k), lambda);
    const at::Tensor residual_N = reward(all, data.feature_ND) - data.label_NK.select(1, k);
    const double variance = residual_N.square().sum().item<double>() / (kRows - parameters);
    for (int64_t n = 0; n < 5; ++n) {
      at::Tensor label_N = data.label_NK.select(1, k).clone();
      label_N[n] = kNan;
      const at::Tensor step = refit(data.feature_ND, label_N, lambda) - all;   // Cook: ||step||^2 in the metric of A
      const double cook = step.dot(normal.mv(step)).item<double>() / (parameters * variance);
      EXPECT_NEAR(d.cook_NK[n][k].item<double>(), cook, 1e-9 * cook);
      const double r = residual_N[n].item<double>(), leverage = hat_N[n].item<double>();
      EXPECT_NEAR(d.residual_NK[n][k].item<double>(), r, 1e-10);
      EXPECT_NEAR(d.self_influence_NK[n][k].item<double>(), r * r * leverage, 1e-10);
      EXPECT_NEAR(d.studentised_NK[n][k].item<double>(), r / std::sqrt(variance * (1 - leverage)), 1e-9);
    }
  }
}

TEST(RidgeHead, ThePenaltyMinimisesTheTrueLeaveOneOutError) {
  Data data;
  data.label_NK = data.label_NK.narrow(1, 0, 1) + 4.0 * normal_table({kRows, 1}, 5);   // noisy: the best penalty is inside the grid
  const double chosen = influence::fit_ridge(data.feature_ND, data.label_NK).groups.at(0).lambda;
  const auto error = [&](double lambda) {
    double sum = 0;
    for (int64_t n = 0; n < kRows; ++n) {
      at::Tensor label_N = data.label_NK.select(1, 0).clone();
      label_N[n] = kNan;
      const double gap = (reward(refit(data.feature_ND, label_N, lambda), data.feature_ND.narrow(0, n, 1))[0] - data.label_NK[n][0]).item<double>();
      sum += gap * gap;
    }
    return sum;
  };
  const double step = std::pow(10.0, 0.25);
  EXPECT_LE(error(chosen), error(chosen * step));
  EXPECT_LE(error(chosen), error(chosen / step));
}

TEST(RidgeHead, DegenerateLabelsHaveDefinedResults) {
  Data data;
  data.label_NK.select(1, 0).fill_(2.0);    // all equal
  data.label_NK.select(1, 1).fill_(kNan);   // an empty dimension
  data.label_NK[0][1] = 3.0;                // … but for one label
  const auto head = influence::fit_ridge(data.feature_ND, data.label_NK);
  const auto d = influence::diagnostics(head, data.feature_ND, data.label_NK);
  EXPECT_LT(d.residual_NK.select(1, 0).abs().max().item<double>(), 1e-12);
  EXPECT_TRUE(d.studentised_NK.select(1, 0).isfinite().all().item<bool>());
  EXPECT_TRUE(d.cook_NK.select(1, 0).isfinite().all().item<bool>());
  EXPECT_TRUE(d.leverage_NK.select(1, 1).isnan().all().item<bool>());
  EXPECT_TRUE(influence::predict(head, data.feature_ND).select(1, 1).isnan().all().item<bool>());
  EXPECT_TRUE(d.loo_residual_NK.select(1, 2).isfinite().all().item<bool>());
  EXPECT_THROW(influence::fit_ridge(data.feature_ND, data.label_NK, {.lambda = 0.0}), core::ConfigError);
  data.feature_ND[3][2] = kNan;
  EXPECT_THROW(influence::fit_ridge(data.feature_ND, data.label_NK), core::Error);
}

TEST(RidgeHead, FewerSamplesThanDimensionsOrFeatures) {
  const at::Tensor feature_ND = normal_table({2, kWidth}, 1), label_NK = normal_table({2, kDimensions}, 2);
  const auto d = influence::diagnostics(influence::fit_ridge(feature_ND, label_NK, {.lambda = 1.0}), feature_ND, label_NK);
  EXPECT_TRUE(d.loo_residual_NK.isfinite().all().item<bool>());
  EXPECT_NEAR(d.loo_residual_NK[0][0].item<double>(), (label_NK[1][0] - label_NK[0][0]).item<double>(), 1e-12) << "one sample left: its label is the fit";
}

TEST(RidgeHead, ComesBackFromItsFileByKey) {
  Data data;
  data.label_NK[4][1] = kNan;
  const test::Scratch scratch("ridge");
  const auto path = scratch.path / "ridge.safetensors";
  const auto head = influence::fit_ridge(data.feature_ND, data.label_NK);
  EXPECT_FALSE(influence::load_ridge(path, "one").has_value());
  influence::save_ridge(path, head, "one");
  EXPECT_FALSE(influence::load_ridge(path, "two").has_value());
  const auto loaded = influence::load_ridge(path, "one");
  ASSERT_TRUE(loaded.has_value());
  ASSERT_EQ(loaded->groups.size(), 2U);
  EXPECT_EQ(loaded->groups[0].dimensions, (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(loaded->groups[1].lambda, head.groups[1].lambda);
  EXPECT_TRUE(at::allclose(influence::predict(*loaded, data.feature_ND), influence::predict(head, data.feature_ND), 1e-14, 1e-14));
  EXPECT_TRUE(at::allclose(influence::kernel(loaded->groups[0], data.feature_ND, data.feature_ND.narrow(0, 0, 2)),
                           influence::kernel(head.groups[0], data.feature_ND, data.feature_ND.narrow(0, 0, 2)), 1e-13, 1e-14));
  std::filesystem::resize_file(path, 100);
  EXPECT_FALSE(influence::load_ridge(path, "one").has_value()) << "a broken cache is made anew";
}

TEST(WhatIf, EqualsRefitting) {
  Data data;
  data.label_NK[7][0] = kNan;
  const auto head = influence::fit_ridge(data.feature_ND, data.label_NK, {.lambda = 0.3});
  const at::Tensor probe_TD = normal_table({6, kWidth}, 4);
  const std::vector<influence::LabelChange> changes = {
      {.row = 3, .dimension = 0, .label = std::nullopt}, {.row = 5, .dimension = 0, .label = std::nullopt}, {.row = 7, .dimension = 0, .label = 2.5},
      {.row = 9, .dimension = 0, .label = 4.0},          {.row = 11, .dimension = 1, .label = 1.0}};
  const auto result = influence::what_if(head, data.feature_ND, data.label_NK, changes, probe_TD);
  at::Tensor changed_NK = data.label_NK.clone();
  for (const auto& change : changes) changed_NK[change.row][change.dimension] = change.label.value_or(kNan);
  for (int64_t k = 0; k < kDimensions; ++k) {
    EXPECT_TRUE(at::allclose(result.before_TK.select(1, k), reward(refit(data.feature_ND, data.label_NK.select(1, k), 0.3), probe_TD), 1e-10, 1e-10));
    EXPECT_TRUE(at::allclose(result.after_TK.select(1, k), reward(refit(data.feature_ND, changed_NK.select(1, k), 0.3), probe_TD), 1e-10, 1e-10));
  }
  EXPECT_FALSE(at::allclose(result.after_TK.select(1, 0), result.before_TK.select(1, 0), 1e-4));
  EXPECT_TRUE(at::equal(result.after_TK.select(1, 2), result.before_TK.select(1, 2)));
}

TEST(WhatIf, RefusesWhatHasNoAnswer) {
  const Data data;
  const auto head = influence::fit_ridge(data.feature_ND, data.label_NK, {.lambda = 0.3});
  const auto ask = [&](std::vector<influence::LabelChange> changes) { influence::what_if(head, data.feature_ND, data.label_NK, changes, data.feature_ND); };
  EXPECT_THROW(ask({{.row = kRows, .dimension = 0}}), core::ConfigError);
  EXPECT_THROW(ask({{.row = 0, .dimension = kDimensions}}), core::ConfigError);
  EXPECT_THROW(ask({{.row = 0, .dimension = 0}, {.row = 0, .dimension = 0, .label = 2.0}}), core::ConfigError);
  std::vector<influence::LabelChange> all;
  for (int64_t n = 1; n < kRows; ++n) all.push_back({.row = n, .dimension = 0});
  EXPECT_THROW(ask(all), core::DataError);
}

}  // namespace
