// SPDX-License-Identifier: Apache-2.0
// The influence matrix against autograd through the model's own last layer and head, on a tiny model in float64.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/influence/estimator.h>
#include <mvrm/influence/matrix.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>

#include "tests/influence/random_table.h"
#include "tests/support/tiny_model.h"

namespace {

using namespace mvrm;
using influence::Space;

constexpr int64_t kSamples = 3, kDimensions = 4;

// Gradients of half the squared residual by real backward passes: gradient[n][k] holds one tensor a parameter of the space.
class Oracle {
 public:
  Oracle() {
    for (auto& tensor : model_.parameters.back()) {   // norms that are not all ones: gamma matters
      if (tensor.dim() == 1) tensor.add_(0.3 * test::normal_table(tensor.sizes(), 50));
    }
    for (auto& tensor : model_.parameters[model_.units.size() - 2]) {
      if (tensor.dim() == 1) tensor.add_(0.3 * test::normal_table(tensor.sizes(), 51));
    }
    const auto output = model::forward(model_, batch_, {.keep_skip = true});
    residual_NK_ = output.reward_BK - batch_.label_BK;
    skip_ND_ = output.skip_BD;
    feature_ND_ = output.feature_BD;
    EXPECT_TRUE(at::equal(output.reward_BK, model::forward(model_, batch_).reward_BK)) << "asking for more changes no reward";
  }

  std::vector<at::Tensor> gradient(int64_t n, int64_t k, const std::vector<std::string>& names) {
    const auto prepared = model::prepare(model_.config, batch_, at::kDouble);
    std::vector<std::vector<at::Tensor>> parameters = model_.parameters;
    std::vector<at::Tensor> wanted;
    for (size_t u = model_.units.size() - 2; u < model_.units.size(); ++u) {
      for (size_t p = 0; p < parameters[u].size(); ++p) {
        const std::string& full = model_.units[u].parameters[p].name;
        for (const auto& name : names) {
          if (full.find(name) == std::string::npos) continue;
          parameters[u][p] = parameters[u][p].clone().requires_grad_(true);
          wanted.push_back(parameters[u][p]);
        }
      }
    }
    EXPECT_EQ(wanted.size(), names.size());
    model::Activation activation;
    for (size_t u = 0; u < model_.units.size(); ++u) {
      activation = model::run_unit(model_.config, model_.units[u], parameters[u], activation, prepared);
    }
    const at::Tensor loss = 0.5 * (activation.hidden[n][k] - batch_.label_BK[n][k]).square();
    return torch::autograd::grad({loss}, wanted);
  }
  at::Tensor matrix(const std::vector<std::string>& names) {
    std::vector<std::vector<std::vector<at::Tensor>>> all(kSamples);
    for (int64_t n = 0; n < kSamples; ++n) {
      for (int64_t k = 0; k < kDimensions; ++k) all[static_cast<size_t>(n)].push_back(gradient(n, k, names));
    }
    at::Tensor result = at::zeros({kSamples, kSamples, kDimensions, kDimensions}, at::kDouble);
    for (size_t i = 0; i < kSamples; ++i)
      for (size_t t = 0; t < kSamples; ++t)
        for (size_t j = 0; j < kDimensions; ++j)
          for (size_t k = 0; k < kDimensions; ++k)
            for (size_t p = 0; p < names.size(); ++p)
              result[static_cast<int64_t>(i)][static_cast<int64_t>(t)][static_cast<int64_t>(j)][static_cast<int64_t>(k)] += (all[i][j][p] * all[t][k][p]).sum();
    return result;
  }

  model::RewardModel model_ = test::tiny_model(at::kDouble, 42, kDimensions);
  data::Batch batch_ = test::tiny_batch(model_.config, kSamples);
  at::Tensor residual_NK_, skip_ND_, feature_ND_;
};

const std::pair<Space, std::vector<std::string>> kSpaces[] = {
    {Space::head, {"score.weight"}},
    {Space::head_norm, {"score.weight", "text_model.norm.weight"}},
    {Space::head_down, {"score.weight", "down_proj"}},
    {Space::head_mlp, {"score.weight", "down_proj", "gate_proj", "up_proj"}},
    {Space::last_layer, {"score.weight", "text_model.norm.weight", "down_proj", "gate_proj", "up_proj", "post_attention_layernorm"}},
};

TEST(Matrix, EqualsAutogradInEverySpace) {
  Oracle oracle;
  const auto layer = influence::last_layer(oracle.model_);
  const influence::SamplePoints points{oracle.residual_NK_, oracle.skip_ND_};
  for (const auto& [space, names] : kSpaces) {
    const at::Tensor expected = oracle.matrix(names), pairs = influence::influence_matrix(space, layer, points, points);
    const double scale = expected.abs().max().item<double>();
    EXPECT_LT((pairs - expected).abs().max().item<double>(), 1e-10 * scale) << influence::name_of(space);
    EXPECT_TRUE(at::allclose(pairs, pairs.permute({1, 0, 3, 2}), 1e-12, 1e-12 * scale)) << "M(i->t) = M(t->i)^T";
    const at::Tensor own = influence::self_matrix(space, layer, points);
    for (int64_t n = 0; n < kSamples; ++n) {
      EXPECT_LT((own[n] - expected[n][n]).abs().max().item<double>(), 1e-10 * scale) << influence::name_of(space);
      EXPECT_GT(at::linalg_eigvalsh(own[n]).min().item<double>(), -1e-10 * scale) << "positive semi-definite";
    }
  }
}

TEST(Matrix, SumIsTheScalarInfluenceOfTheSummedLoss) {
  Oracle oracle;
  const auto layer = influence::last_layer(oracle.model_);
  for (const auto& [space, names] : kSpaces) {
    const at::Tensor own = influence::self_matrix(space, layer, {oracle.residual_NK_, oracle.skip_ND_});
    for (int64_t n = 0; n < kSamples; ++n) {
      double expected = 0;   // ||sum over k of the gradients||^2
      std::vector<at::Tensor> total = oracle.gradient(n, 0, names);
      for (int64_t k = 1; k < kDimensions; ++k) {
        const auto next = oracle.gradient(n, k, names);
        for (size_t p = 0; p < total.size(); ++p) total[p] = total[p] + next[p];
      }
      for (const auto& part : total) expected += part.square().sum().item<double>();
      EXPECT_NEAR(own[n].sum().item<double>(), expected, 1e-10 * expected) << influence::name_of(space);
    }
  }
}

TEST(Matrix, HeadOffDiagonalsAreExactlyZeroAndItsDiagonalIsTheClosedForm) {
  Oracle oracle;
  const auto layer = influence::last_layer(oracle.model_);
  const influence::SamplePoints points{oracle.residual_NK_, oracle.skip_ND_};
  const at::Tensor pairs = influence::influence_matrix(Space::head, layer, points, points), own = influence::self_matrix(Space::head, layer, points);
  const at::Tensor off = 1 - at::eye(kDimensions, at::kDouble);
  EXPECT_EQ((pairs * off).abs().max().item<double>(), 0.0);
  EXPECT_EQ((own * off).abs().max().item<double>(), 0.0);
  const at::Tensor closed_NK = influence::closed_form(oracle.residual_NK_, oracle.feature_ND_.square().sum(1));
  EXPECT_TRUE(at::allclose(own.diagonal(0, 1, 2), closed_NK, 1e-10, 0));
  EXPECT_TRUE(at::allclose(influence::row_sum(own), closed_NK, 1e-10, 0));
  const at::Tensor direct_NTK = influence::head_influence(oracle.residual_NK_, oracle.feature_ND_, oracle.residual_NK_, oracle.feature_ND_);
  EXPECT_TRUE(at::allclose(pairs.diagonal(0, 2, 3), direct_NTK, 1e-10, 1e-12));
}

TEST(Matrix, AMissingLabelSpoilsItsOwnRowAndColumnOnly) {
  Oracle oracle;
  const auto layer = influence::last_layer(oracle.model_);
  at::Tensor residual_NK = oracle.residual_NK_.clone();
  residual_NK[0][1] = std::numeric_limits<double>::quiet_NaN();
  const at::Tensor own = influence::self_matrix(Space::head_mlp, layer, {residual_NK, oracle.skip_ND_});
  const at::Tensor whole = influence::self_matrix(Space::head_mlp, layer, {oracle.residual_NK_, oracle.skip_ND_});
  EXPECT_TRUE(own[0][1].isnan().all().item<bool>());
  EXPECT_EQ(own[0][0][2].item<double>(), whole[0][0][2].item<double>());
  const at::Tensor sums_NK = influence::row_sum(own);
  EXPECT_TRUE(sums_NK[0][1].isnan().item<bool>());
  EXPECT_NEAR(sums_NK[0][0].item<double>(), (whole[0][0].sum() - whole[0][0][1]).item<double>(), 1e-9);
  EXPECT_EQ(influence::self_matrix(Space::head, layer, {residual_NK, oracle.skip_ND_})[0][1][2].item<double>(), 0.0);
}

TEST(Matrix, RowSumByHand) {
  const at::Tensor matrix = at::tensor({4.0, -5.0, -5.0, 9.0}, at::kDouble).view({1, 2, 2});
  EXPECT_TRUE(at::equal(influence::row_sum(matrix), at::tensor({-1.0, 4.0}, at::kDouble).view({1, 2})));
}

TEST(Matrix, RanksProponentsAndOpponents) {
  const at::Tensor effect_N = at::tensor({0.5, -2.0, std::nan(""), 3.0, 0.0, -0.1, 0.5}, at::kDouble);
  const auto ranking = influence::rank_effects(effect_N, 2);
  EXPECT_EQ(ranking.proponents, (std::vector<int64_t>{3, 0}));
  EXPECT_EQ(ranking.opponents, (std::vector<int64_t>{1, 5}));
}

TEST(Matrix, UnknownSpaceListsTheKnownOnes) {
  try {
    influence::space_from_name("mlp");
    FAIL();
  } catch (const core::ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("head, head+norm, head+down, head+mlp"), std::string::npos);
  }
  EXPECT_EQ(influence::space_from_name("head+mlp"), Space::head_mlp);
}

}  // namespace
