// SPDX-License-Identifier: Apache-2.0
// Samples dealt over ranks by cost: everybody once, nearly equal loads, and results that know nothing of the ranks.
#include <gtest/gtest.h>
#include <mvrm/train/cost.h>
#include <mvrm/train/reduction.h>

#include <set>

#include "src/train/dealing.h"
#include "tests/train/ranks.h"

namespace mvrm::train {
namespace {

TEST(Dealing, EightSlotsByHand) {
  // Falling: samples 1 (8), 3 (7), 5 (6), 7 (5), 0 (4), 2 (3), 4 (2), 6 (1). Groups of two to the lighter side: {1 3} | {5 7}, then {0 2} to the
  // second, {4 6} to the first: 8+7+2+1 = 18 against 6+5+4+3. Each side again: {1 3} | {4 6} and {5 7} | {0 2}.
  const std::vector<double> cost{4, 8, 3, 7, 2, 6, 1, 5};
  EXPECT_EQ(dealt({0, 1, 2, 3, 4, 5, 6, 7}, cost, 1, 2), (std::vector<int64_t>{1, 5, 4, 0, 3, 7, 6, 2}));
}

TEST(Dealing, EqualCostsLeaveTheOrderAlone) {
  EXPECT_EQ(dealt({5, 2, 9}, std::vector<double>(10, 7.0), 1, 8), (std::vector<int64_t>{5, 2, 9}));
  EXPECT_TRUE(dealt({}, {}, 4, 8).empty());
}

TEST(Dealing, GivesEverySampleOnce) {
  core::CounterRng random(3, "dealing");
  for (const int64_t count : {1, 2, 5, 7, 16, 37, 64}) {
    std::vector<int64_t> samples;
    std::vector<double> cost;
    for (int64_t n = 0; n < count; ++n) samples.push_back(n), cost.push_back(random.uniform(1, 9));
    for (const int64_t micro_batch : {1, 2, 3}) {
      const auto order = dealt(samples, cost, micro_batch, count % 2 == 0 ? 8 : 1);
      EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), static_cast<size_t>(count));
      EXPECT_EQ(order.size(), static_cast<size_t>(count));
    }
  }
}

// The longest time of a step over the mean, where ranks meet once a step, or behind every micro-batch.
double imbalance(const std::vector<int64_t>& order, const std::vector<double>& cost, int64_t ranks, bool each) {
  const auto slots = static_cast<int64_t>(order.size());
  double sum = 0, longest = 0;
  for (const double c : cost) sum += c;
  std::vector<double> load(static_cast<size_t>(ranks), 0.0), round;
  for (int64_t r = 0; r < ranks; ++r) {
    const TreeSum tree(slots, r, ranks, each ? SlotOrder::blocks : SlotOrder::interleaved);
    round.resize(static_cast<size_t>(std::max<int64_t>(static_cast<int64_t>(round.size()), tree.count())), 0.0);
    for (int64_t position = 0; position < tree.count(); ++position) {
      const int64_t slot = tree.slot_of(tree.leaf_at(position));
      if (slot >= slots) continue;
      const double c = cost[static_cast<size_t>(order[static_cast<size_t>(slot)])];
      load[static_cast<size_t>(r)] += c;
      round[static_cast<size_t>(position)] = std::max(round[static_cast<size_t>(position)], c);
    }
  }
  for (const double c : round) longest += c;
  return (each ? longest : *std::max_element(load.begin(), load.end())) / (sum / static_cast<double>(ranks));
}

TEST(Dealing, RanksHaveNearlyEqualWork) {
  // Steps of 64 clips, whose operations spread as those of clips of 8 to 48 frames in four sizes do.
  core::CounterRng random(11, "clips");
  constexpr int kSteps = 50;
  const model::ModelConfig config;
  for (const int64_t ranks : {2, 4, 8}) {
    double plain[2] = {0, 0}, balanced[2] = {0, 0};
    for (int step = 0; step < kSteps; ++step) {
      std::vector<int64_t> samples;
      std::vector<double> cost;
      for (int64_t n = 0; n < 64; ++n) {
        const int64_t frames = 8 + random.below(41), wide = 378 + 14 * random.below(30);
        samples.push_back(n);
        cost.push_back(flops_of(config, {.frames = frames, .height = 378, .width = wide, .tokens = 312 + 67 * frames}).forward());
      }
      for (const bool each : {false, true}) {
        plain[each] += imbalance(samples, cost, ranks, each) / kSteps;
        balanced[each] += imbalance(dealt(samples, cost, 1, each ? 8 : 1), cost, ranks, each) / kSteps;
      }
    }
    std::printf("[ dealing  ] %d ranks: longest over mean %.3f -> %.3f once a step, %.3f -> %.3f every micro-batch\n", static_cast<int>(ranks), plain[0], balanced[0], plain[1], balanced[1]);
    EXPECT_LT(balanced[0], 1.03) << ranks;
    EXPECT_LT(balanced[1], 1.15) << ranks;
    EXPECT_LT(balanced[0], 1 + 0.5 * (plain[0] - 1));
    EXPECT_LT(balanced[1], 1 + 0.25 * (plain[1] - 1));
  }
}

TEST(Dealing, ChangesNoResultButTheOrderOfSums) {
  const test::Scratch scratch("dealing");
  Samples samples = test::tiny_samples(test::tiny_config(), 16);
  samples.cost = [](int64_t n) { return static_cast<double>(1 + (5 * n) % 7); };
  int runs = 0;
  const auto run = [&](const std::string& balance, int64_t ranks, const char* reduce, at::ScalarType dtype) {
    test::TinyRun tiny{.config = test::tiny_train_config(6), .ranks = ranks, .dir = scratch.path / std::to_string(runs++), .dtype = dtype};
    tiny.config.train.batch = 8;
    tiny.config.dist.balance = balance;
    tiny.config.dist.reduce = reduce;
    return test::run_tiny(tiny, samples);
  };
  for (const char* reduce : {"step", "micro"}) {
    const auto alone = run("always", 1, reduce, at::kFloat);
    for (const int64_t ranks : {2, 4}) EXPECT_TRUE(test::same_bits(alone, run("always", ranks, reduce, at::kFloat))) << ranks << ", " << reduce;
  }
  EXPECT_TRUE(test::same_bits(run("auto", 1, "step", at::kFloat), run("never", 1, "step", at::kFloat)));   // a small model
  const auto exact = run("always", 1, "step", at::kDouble), plain = run("never", 1, "step", at::kDouble);
  EXPECT_FALSE(test::same_bits(exact, plain));   // another order of sums
  EXPECT_LT(test::worst_difference(exact, plain), 1e-6);
}

}  // namespace
}  // namespace mvrm::train
