// SPDX-License-Identifier: Apache-2.0
// The Bayesian head against its definition: the log evidence of an n x n Gaussian process is stationary at the fitted variances, and the
// predictive variance is the Gaussian process's. Float64.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/influence/bayes_head.h>

#include <cmath>
#include <limits>

#include "tests/influence/random_table.h"

namespace {

using namespace mvrm;
using test::normal_table;

constexpr int64_t kRows = 40, kWidth = 5;

// Log evidence of labels under noise and prior, the flat bias integrated out: the residual space of the constant.
double log_evidence(const at::Tensor& feature_ND, const at::Tensor& label_N, double noise, double prior) {
  const int64_t n = feature_ND.size(0);
  const at::Tensor covariance = noise * at::eye(n, at::kDouble) + prior * feature_ND.mm(feature_ND.t());
  const at::Tensor inverse = at::linalg_inv(covariance), ones = at::ones({n}, at::kDouble);
  const double mass = ones.dot(inverse.mv(ones)).item<double>();
  const at::Tensor gap = label_N - ones.dot(inverse.mv(label_N)) / mass;
  return -0.5 * (at::logdet(covariance).item<double>() + std::log(mass) + gap.dot(inverse.mv(gap)).item<double>());
}

TEST(BayesHead, MaximisesTheEvidence) {
  const at::Tensor feature_ND = normal_table({kRows, kWidth}, 1) + 1.0;
  const at::Tensor label_NK = feature_ND.mm(normal_table({kWidth, 2}, 2)) + at::tensor({0.5, 1.5}, at::kDouble) * normal_table({kRows, 2}, 3);
  const auto head = influence::fit_bayes(feature_ND, label_NK);
  ASSERT_EQ(head.groups.size(), 1U);
  for (int64_t k = 0; k < 2; ++k) {
    const double noise = head.groups[0].noise_variance_G[k].item<double>(), prior = head.groups[0].prior_variance_G[k].item<double>();
    const double best = log_evidence(feature_ND, label_NK.select(1, k), noise, prior);
    for (const double factor : {0.9, 0.99, 1.01, 1.1}) {
      EXPECT_LT(log_evidence(feature_ND, label_NK.select(1, k), noise * factor, prior), best) << k << " " << factor;
      EXPECT_LT(log_evidence(feature_ND, label_NK.select(1, k), noise, prior * factor), best) << k << " " << factor;
    }
  }
}

TEST(BayesHead, VarianceIsTheGaussianProcess) {
  const at::Tensor feature_ND = normal_table({kRows, kWidth}, 1), label_NK = feature_ND.mm(normal_table({kWidth, 1}, 2)) + normal_table({kRows, 1}, 3);
  const auto head = influence::fit_bayes(feature_ND, label_NK);
  const double noise = head.groups[0].noise_variance_G[0].item<double>(), prior = head.groups[0].prior_variance_G[0].item<double>();
  // A bias with a huge prior variance instead of a flat one, and the textbook formula over n x n matrices.
  const double flat = 1e7;
  const at::Tensor probe_TD = normal_table({4, kWidth}, 9);
  const at::Tensor covariance = noise * at::eye(kRows, at::kDouble) + prior * feature_ND.mm(feature_ND.t()) + flat;
  const at::Tensor cross_TN = prior * probe_TD.mm(feature_ND.t()) + flat;
  const at::Tensor expected_T = noise + flat + prior * probe_TD.square().sum(1) - at::linalg_solve(covariance, cross_TN.t()).t().mul(cross_TN).sum(1);
  EXPECT_TRUE(at::allclose(influence::predictive_variance(head, probe_TD).select(1, 0), expected_T, 1e-4, 1e-6));
  const at::Tensor far_TD = 100 * probe_TD;
  EXPECT_TRUE(influence::predictive_variance(head, far_TD).gt(influence::predictive_variance(head, probe_TD)).all().item<bool>());
}

TEST(BayesHead, DimensionsAreIndependentAndMissingLabelsStayOut) {
  const at::Tensor feature_ND = normal_table({kRows, kWidth}, 1);
  at::Tensor label_NK = normal_table({kRows, 3}, 2);
  label_NK[5][1] = std::nan("");
  label_NK.select(1, 2).fill_(std::nan(""));
  const at::Tensor both_NK = influence::predictive_variance(influence::fit_bayes(feature_ND, label_NK), feature_ND);
  const at::Tensor alone_NK = influence::predictive_variance(influence::fit_bayes(feature_ND, label_NK.narrow(1, 0, 1)), feature_ND);
  EXPECT_TRUE(at::allclose(both_NK.narrow(1, 0, 1), alone_NK, 1e-9, 0));
  EXPECT_TRUE(both_NK.select(1, 1).isfinite().all().item<bool>());
  EXPECT_TRUE(both_NK.select(1, 2).isnan().all().item<bool>());
}

TEST(BayesHead, EqualLabelsAreNoErrorAndNoInfinity) {
  const at::Tensor feature_ND = normal_table({kRows, kWidth}, 1);
  const at::Tensor variance_NK = influence::predictive_variance(influence::fit_bayes(feature_ND, at::full({kRows, 1}, 3.0, at::kDouble)), feature_ND);
  EXPECT_TRUE(variance_NK.isfinite().all().item<bool>());
}

}  // namespace
