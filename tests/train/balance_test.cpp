// SPDX-License-Identifier: Apache-2.0
// Balancing against hand-worked numbers, and PCGrad from its Gram matrix against the method written out over K gradients.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/train/balance.h>
#include <mvrm/train/pcgrad.h>
#include <numeric>

#include "src/train/balanced_step.h"
#include "tests/train/ranks.h"

namespace mvrm::train {
namespace {

TEST(Balance, EqualAndPcgradLeaveTheLossAlone) {
  for (const char* strategy : {"equal", "pcgrad"}) {
    BalanceConfig config;
    config.strategy = strategy;
    EXPECT_EQ(Balancer(config, 3, 1).factor_K(7, 2), (std::vector<double>{1, 1, 1}));
  }
}

// e^0.5 / 2 = 0.824360635..., LibMTL's starting weight (spec/influence.md 2.2); times K = 2 in a mean over dimensions.
TEST(Balance, UncertaintyWeightingByHand) {
  BalanceConfig config;
  config.strategy = "uncertainty_weighting";
  EXPECT_NEAR(Balancer(config, 2, 1).factor_K(0, 0)[1], 2 * 0.8243606353500641, 1e-15);
  config.uncertainty_weighting = {.lr = {.scalar = 0.1}, .init = 0, .reduce = "mean", .analytic_ema = 0};
  Balancer balancer(config, 2, 1);
  EXPECT_EQ(balancer.factor_K(0, 0), (std::vector<double>{0.5, 0.5}));
  // d/da = (1 - L) / 2 at a = 0: -1.5 and 0.25. Adam's first step is the learning rate against the sign.
  balancer.observe({4, 0.5}, 1e-5);
  EXPECT_NEAR(balancer.log_variance_K()[0], 0.1, 1e-8);
  EXPECT_NEAR(balancer.log_variance_K()[1], -0.1, 1e-8);
  EXPECT_NEAR(balancer.factor_K(1, 0)[0], 0.45241870901797976, 1e-8);   // e^-0.1 / 2
}

TEST(Balance, UncertaintySettlesAtTheLogOfTheLoss) {
  BalanceConfig config;
  config.strategy = "uncertainty_weighting";
  Balancer learned(config, 2, 1);
  for (int i = 0; i < 4000; ++i) learned.observe({2, 0.25}, 1e-5);
  EXPECT_NEAR(learned.log_variance_K()[0], 0.6931471805599453, 1e-3);
  EXPECT_NEAR(learned.log_variance_K()[1], -1.3862943611198906, 1e-3);
  // At the model's rate it hardly moves (F5).
  config.uncertainty_weighting.lr = {.scalar = std::nullopt, .map = {}, .word = "model"};
  Balancer inert(config, 2, 1);
  for (int i = 0; i < 576; ++i) inert.observe({2, 0.25}, 1e-5);
  EXPECT_NEAR(inert.log_variance_K()[0], -0.5, 0.006);
  config.uncertainty_weighting.analytic_ema = 0.9;
  Balancer analytic(config, 2, 1);
  analytic.observe({2, 1}, 1e-5);
  analytic.observe({4, 1}, 1e-5);
  EXPECT_NEAR(analytic.log_variance_K()[0], 0.7884573603642703, 1e-12);   // log(0.9 * 2 + 0.1 * 4)
  config.uncertainty_weighting.lr.word = "modle";
  EXPECT_THROW(Balancer(config, 2, 1), core::ConfigError);
}

TEST(Balance, RandomWeightsHaveMeanOneAndAreAFunctionOfTheStep) {
  for (const char* distribution : {"normal", "uniform", "dirichlet"}) {
    BalanceConfig config;
    config.strategy = "rlw";
    config.rlw.distribution = distribution;
    const Balancer balancer(config, 5, 42);
    std::vector<double> mean(5);
    for (int64_t step = 0; step < 4000; ++step) {
      const auto factor_K = balancer.factor_K(step, 0);
      EXPECT_EQ(factor_K, balancer.factor_K(step, 3));
      EXPECT_NEAR(std::accumulate(factor_K.begin(), factor_K.end(), 0.0), 5, 1e-12);
      for (size_t k = 0; k < 5; ++k) mean[k] += factor_K[k] / 4000;
    }
    for (const double m : mean) EXPECT_NEAR(m, 1, 0.08) << distribution;
    EXPECT_NE(balancer.factor_K(1, 0), balancer.factor_K(2, 0));
    config.rlw = {.redraw = "micro_batch", .distribution = distribution, .scale = "sum1"};
    const Balancer often(config, 5, 42);
    EXPECT_NE(often.factor_K(1, 0), often.factor_K(1, 3));
    const auto factor_K = often.factor_K(1, 0);
    EXPECT_NEAR(std::accumulate(factor_K.begin(), factor_K.end(), 0.0), 1, 1e-12);
  }
}

TEST(Balance, StateGoesThroughATensor) {
  BalanceConfig config;
  config.strategy = "uncertainty_weighting";
  Balancer one(config, 2, 1), other(config, 2, 1);
  one.observe({3, 1}, 0);
  other.restore(one.state());
  one.observe({2, 1}, 0);
  other.observe({2, 1}, 0);
  EXPECT_EQ(one.log_variance_K(), other.log_variance_K());
}

// Two tasks, g1 = (1, 0), g2 = (-1, 1): g1' = g1 + g2 / 2 = (0.5, 0.5), g2' = g2 + g1 = (0, 1); sum (0.5, 1.5) = 2 g1 + 1.5 g2.
TEST(Pcgrad, CoefficientsByHand) {
  EXPECT_EQ(pcgrad_coefficients(at::tensor({1.0, -1.0, -1.0, 2.0}, at::kDouble).view({2, 2}), 1, 0), (std::vector<double>{2, 1.5}));
  EXPECT_EQ(pcgrad_coefficients(at::tensor({1.0, 0.5, 0.5, 2.0}, at::kDouble).view({2, 2}), 1, 0), (std::vector<double>{1, 1}));
  EXPECT_EQ(pcgrad_coefficients(at::tensor({0.0, 0.0, 0.0, 2.0}, at::kDouble).view({2, 2}), 1, 0), (std::vector<double>{1, 1}));
}

TEST(Pcgrad, OrderIsAPermutationThatChangesWithTheStep) {
  auto order = pcgrad_order(5, 2, 42, 0);
  EXPECT_NE(order, pcgrad_order(5, 2, 42, 1));
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, (std::vector<int64_t>{0, 1, 3, 4}));
}

// The method as published: K whole gradients, projected one on another.
at::Tensor explicit_pcgrad(const std::vector<at::Tensor>& g_K, uint64_t seed, int64_t step) {
  at::Tensor sum = at::zeros_like(g_K.front());
  for (size_t i = 0; i < g_K.size(); ++i) {
    at::Tensor g = g_K[i].clone();
    for (const int64_t j : pcgrad_order(static_cast<int64_t>(g_K.size()), static_cast<int64_t>(i), seed, step)) {
      const at::Tensor& other = g_K[static_cast<size_t>(j)];
      const double product = g.dot(other).item<double>();
      if (product < 0) g = g - other * (product / other.dot(other).item<double>());
    }
    sum = sum + g;
  }
  return sum;
}

struct StepCase {
  model::ModelConfig config = test::tiny_config();
  Samples samples = test::tiny_samples(config, 6);
  StepBatch batch{.samples = {0, 1, 2, 3, 4, 5}, .micro_batch = 1};
  // Whole gradients of one step, by objective and unit, from every rank's parts.
  template <class Compute> Gradients whole(int64_t ranks, Compute compute) {
    std::vector<Gradients> parts(static_cast<size_t>(ranks));
    test::on_ranks(ranks, [&](dist::Communicator& comm) {
      model::RewardModel model = test::tiny_model(at::kDouble);
      const TrainState state(model, comm);
      WorkerPool pool(1);
      parts[static_cast<size_t>(comm.rank())] = compute(StepResources{.model = model, .state = state, .samples = samples, .comm = comm, .pool = pool}).gradient_parts;
    });
    Gradients full;
    for (size_t u = 0; u < parts.front().size(); ++u) {
      std::vector<at::Tensor> pieces;
      for (const auto& part : parts) pieces.push_back(part[u]);
      full.push_back(at::cat(pieces));
    }
    return full;
  }
  static bool never() { return false; }
};

TEST(Pcgrad, FromTheGramMatrixEqualsTheMethodWrittenOut) {
  StepCase c;
  const Gradients by_dimension = c.whole(1, [&](const StepResources& with) { return compute_step(with, c.batch, {.factor_K = {}, .per_dimension = true}, StepCase::never); });
  const size_t units = by_dimension.size() / 5;
  const model::RewardModel model = test::tiny_model(at::kDouble);
  const auto rows = head_rows(model.units.back(), layout_of(model.units.back(), 1));
  std::vector<at::Tensor> shared_K;   // everything but the score head
  for (size_t k = 0; k < 5; ++k) {
    std::vector<at::Tensor> flat;
    for (size_t u = 0; u < units; ++u) flat.push_back(by_dimension[k * units + u].clone());
    for (const auto& row : rows) flat.back().slice(0, row.offset, row.offset + row.rows * row.row_length).zero_();
    shared_K.push_back(at::cat(flat));
  }
  int conflicts = 0;
  for (size_t j = 0; j < 5; ++j)
    for (size_t k = 0; k < j; ++k) conflicts += shared_K[j].dot(shared_K[k]).item<double>() < 0;
  ASSERT_GT(conflicts, 0) << "no gradients conflict: this test would see nothing";
  BalanceConfig config;
  config.strategy = "pcgrad";
  for (const bool sketch : {false, true}) {
    // A sketch as long as many times the model has hardly any collisions.
    config.pcgrad = {.gram = sketch ? "sketch" : "shards", .sketch_size = sketch ? 1 << 22 : 16};
    const Balancer balancer(config, 5, 9);
    for (const int64_t ranks : {1, 2, 3}) {
      if (sketch && ranks > 1) continue;
      const Gradients found = c.whole(ranks, [&](const StepResources& with) { return compute_balanced_step(with, c.batch, balancer, 4, sketch, StepCase::never); });
      at::Tensor expected = explicit_pcgrad(shared_K, balancer.seed(), 4);
      std::vector<at::Tensor> flat;
      for (size_t u = 0; u < units; ++u) flat.push_back(found[u].slice(0, 0, by_dimension[u].numel()));
      // The head's rows get their own plain gradient.
      at::Tensor head = at::zeros_like(flat.back());
      for (size_t k = 0; k < 5; ++k) head.add_(by_dimension[k * units + units - 1]);
      for (const auto& row : rows) {
        const int64_t begin = expected.numel() - head.numel() + row.offset, length = row.rows * row.row_length;
        expected.slice(0, begin, begin + length).copy_(head.slice(0, row.offset, row.offset + length));
      }
      const double error = (at::cat(flat) - expected).abs().max().item<double>() / expected.abs().max().item<double>();
      EXPECT_LT(error, sketch ? 0.02 : 1e-10) << ranks << " ranks";
      RecordProperty(sketch ? "sketch_error" : "shards_error_" + std::to_string(ranks), std::to_string(error));
    }
  }
}

// Sketches are linear, and longer ones are nearer: the update of spec/influence.md 2.4 has errors of .016 at 4k down to .002 at 262k.
TEST(Pcgrad, SketchesAddUpAndPreserveProducts) {
  constexpr int64_t kElements = 1 << 16;
  const std::vector<FlatLayout> layouts{{.offset = {0}, .length = {kElements}, .total = kElements}};
  at::manual_seed(3);
  const at::Tensor a = at::randn({kElements}, at::kDouble), b = 0.3 * a + at::randn({kElements}, at::kDouble);
  Gradients none;
  const std::vector<std::vector<core::Tensor>> parameters(1);
  const auto sketch = [&](const std::vector<at::Tensor>& rows, int64_t size) {
    at::Tensor into = at::zeros({static_cast<int64_t>(rows.size()), size}, at::kDouble);
    LocalAccess inner(parameters, none);
    SketchAccess access(inner, layouts, at::kDouble, {}, into);
    for (size_t k = 0; k < rows.size(); ++k) access.gradient(k, 0).add_(rows[k]);
    access.finished(0);
    return into;
  };
  EXPECT_TRUE(at::allclose(sketch({a}, 100) + sketch({b}, 100), sketch({a + b}, 100), 1e-12, 1e-9));
  const at::Tensor both = sketch({a, b}, 4096);
  const double scale = a.norm().item<double>() * b.norm().item<double>();
  EXPECT_NEAR(both[0].dot(both[1]).item<double>() / scale, a.dot(b).item<double>() / scale, 5.0 / 64);
  // Buckets are used evenly: 16 elements each on average, none empty or overfull.
  const at::Tensor counted = sketch({at::ones({kElements}, at::kDouble)}, 64);
  EXPECT_LT(counted.abs().max().item<double>(), 6 * 32);   // a sum of 1024 signs: standard deviation 32
  EXPECT_GT(counted.abs().max().item<double>(), 1);
}

// Both go through a unit in pieces of 2^21 elements; nothing is lost at their borders, and no piece repeats another's hashes.
TEST(Pcgrad, UnitsOfSeveralPieces) {
  constexpr int64_t kPiece = 1 << 21, kElements = 2 * kPiece + 3 * 1024;
  at::manual_seed(4);
  const Gradients parts{at::randn({kElements}), at::randn({kElements})};
  const auto single = dist::make_single();
  const at::Tensor gram_KK = gram_of_parts(parts, 2, {}, *single), a = parts[0].to(at::kDouble), b = parts[1].to(at::kDouble);
  const double scale = a.norm().item<double>() * b.norm().item<double>();
  EXPECT_NEAR(gram_KK[0][1].item<double>() / scale, a.dot(b).item<double>() / scale, 1e-12);
  EXPECT_NEAR(gram_KK[1][1].item<double>() / b.dot(b).item<double>(), 1, 1e-12);

  const std::vector<FlatLayout> layouts{{.offset = {0}, .length = {kElements}, .total = kElements}};
  const std::vector<int64_t> places{0, kPiece, 2 * kPiece, 7, kPiece + 7, kPiece - 1, 2 * kPiece - 1, kElements - 1};
  Gradients none;
  const std::vector<std::vector<core::Tensor>> parameters(1);
  at::Tensor sketch_KM = at::zeros({static_cast<int64_t>(places.size()), 65536}, at::kDouble);
  LocalAccess inner(parameters, none);
  SketchAccess access(inner, layouts, at::kFloat, {}, sketch_KM);
  for (size_t k = 0; k < places.size(); ++k) access.gradient(k, 0)[places[k]] = 1;   // one element each
  access.finished(0);
  EXPECT_TRUE(at::equal(sketch_KM.abs().sum(1), at::ones({static_cast<int64_t>(places.size())}, at::kDouble)));
  EXPECT_TRUE(at::equal(sketch_KM.matmul(sketch_KM.t()), at::eye(static_cast<int64_t>(places.size()), at::kDouble))) << "two elements share a bucket";
}

}  // namespace
}  // namespace mvrm::train
