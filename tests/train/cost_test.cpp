// SPDX-License-Identifier: Apache-2.0
// Costs against the published size of VideoScore-8B and the table of spec/training.md 2.4; traffic against real steps.
#include <gtest/gtest.h>
#include <mvrm/core/files.h>
#include <mvrm/train/cost.h>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/train/ranks.h"
#include "tests/train/sized_model.h"

namespace mvrm::train {
namespace {

TEST(Cost, ParametersAreThoseOfTheReleasedModel) { EXPECT_EQ(parameter_count(model::ModelConfig{}), 8'271'704'309); }

TEST(Cost, OperationsOfTheReleasedModelByHand) {
  // One frame of 28 x 28 (4 patches), 100 tokens; sizes of Mantis-Idefics2-8B.
  const Flops flops = flops_of(model::ModelConfig{}, {.frames = 1, .height = 28, .width = 41, .tokens = 100});
  EXPECT_EQ(flops.vision, 27.0 * (2.0 * 15'224'832 * 4 + 4.0 * 1152 * 16) + 2.0 * 588 * 1152 * 4);   // 41 pixels hold 2 patches
  EXPECT_EQ(flops.connector, 2.0 * 91'750'400 * 4 + 3.0 * (2.0 * 64 * (2.0 * 4096 * 1536 + 3.0 * 4096 * 16384) + (4.0 * 4096 * 384 + 4.0 * 1536 * 64) * 68));
  EXPECT_EQ(flops.decoder, 32.0 * (2.0 * 218'103'808 * 100 + 2.0 * 4096 * 10'000));
  EXPECT_EQ(flops.head, 2.0 * 4096 * 5);
  EXPECT_EQ(flops.training(), 3 * (flops.vision + flops.connector + flops.decoder + flops.head));
}

TEST(Cost, OperationsAreThoseOfThePlan) {
  struct Row { int64_t frames, height, width, tokens; double vision, projection_and_perceiver, decoder, forward; };
  for (const Row& row : {Row{16, 378, 378, 1384, 10.7, 3.7, 19.9, 34.3}, Row{16, 378, 512, 1384, 14.7, 4.5, 19.9, 39.1}, Row{24, 378, 512, 1920, 22.0, 6.8, 27.8, 56.6},
                         Row{48, 378, 512, 3528, 44.1, 13.5, 52.6, 110}, Row{16, 980, 980, 1384, 112, 17.3, 19.9, 150}}) {
    const Flops flops = flops_of(model::ModelConfig{}, {.frames = row.frames, .height = row.height, .width = row.width, .tokens = row.tokens});
    EXPECT_NEAR(1e-12 * flops.vision, row.vision, 0.006 * row.vision);   // the plan's numbers are rounded
    EXPECT_NEAR(1e-12 * flops.connector, row.projection_and_perceiver, 0.02 * row.projection_and_perceiver);
    EXPECT_NEAR(1e-12 * flops.decoder, row.decoder, 0.006 * row.decoder);
    EXPECT_NEAR(1e-12 * flops.forward(), row.forward, 0.006 * row.forward);
  }
}

TEST(Cost, AutoIsResolvedFromTheModelAndTheWorld) {
  TrainConfig config;
  const auto at_ranks = [&](int64_t parameters, int64_t ranks) { return scheme_of(config, {.parameters = parameters, .ranks = ranks, .dimensions = 5}); };
  const Scheme small = at_ranks(1'000'000, 8), large = at_ranks(8'000'000'000, 8), alone = at_ranks(8'000'000'000, 1);
  EXPECT_TRUE(small.keep_weights && !small.reduce_each && !small.recompute && small.ordered && small.balance_group == 0);
  EXPECT_TRUE(large.keep_weights && large.reduce_each && large.recompute && large.balance_group == 8);
  EXPECT_TRUE(alone.keep_weights && !alone.reduce_each && alone.recompute && alone.balance_group == 8);   // the order of sums of 8 ranks
  EXPECT_EQ(small.micro_batches, 8);   // 64 samples
  EXPECT_EQ(alone.micro_batches, 64);
  config.dist.order = "fast";
  EXPECT_FALSE(at_ranks(8'000'000'000, 8).reduce_each);
  EXPECT_EQ(at_ranks(8'000'000'000, 8).balance_group, 1);
  config.dist.reshard = "free";
  const Scheme freed = at_ranks(1'000'000, 2);
  EXPECT_TRUE(!freed.keep_weights && freed.reduce_each && freed.recompute);
  EXPECT_TRUE(at_ranks(1'000'000, 1).keep_weights);
  config.balance.strategy = "pcgrad";
  EXPECT_EQ(at_ranks(1'000'000, 2).objectives, 5);
  EXPECT_EQ(at_ranks(8'000'000'000, 1).objectives, 1);   // sketched
}

// What rank 0 wrote about its first step.
nlohmann::json first_line(const std::filesystem::path& run_dir) {
  std::istringstream lines(core::read_file(run_dir / "metrics.jsonl"));
  std::string line;
  std::getline(lines, line);
  return nlohmann::json::parse(line);
}

struct Layout {
  const char *reshard, *reduce, *recompute;
  double gradients, weights;   // how often they travel in a step of M micro-batches: times M where negative
};
constexpr Layout kLayouts[] = {
    {"keep", "step", "always", 1, 1},   {"keep", "step", "never", 1, 1},   {"keep", "micro", "always", -1, 1},  {"keep", "micro", "never", -1, 1},
    {"free", "step", "always", 1, -2},  {"free", "step", "never", 1, -1},  {"free", "micro", "always", -1, -2}, {"free", "micro", "never", -1, -1},
};

class TrafficOfAStep : public testing::Test {
 protected:
  nlohmann::json run(const Layout& layout, int64_t ranks, at::ScalarType dtype, const std::string& order = "ordered") {
    TrainConfig config = test::tiny_train_config(1);
    config.train.batch = 8;
    config.train.recompute = layout.recompute;
    config.dist.reshard = layout.reshard;
    config.dist.reduce = layout.reduce;
    config.dist.order = order;
    config.dist.peak_tflops = 0.5;
    const auto dir = scratch_.path / std::to_string(runs_++);
    test::on_ranks(ranks, [&](dist::Communicator& comm) {
      model::RewardModel model = model::random_reward_model(model_, dtype, 1);
      const TrainJob job{.config = config, .run_dir = dir, .processor_dir = {}, .resume = "never"};
      run_training(model, test::tiny_samples(model_, 8), job, comm, core::Context{});
    });
    return first_line(dir);
  }
  double expected(const Layout& layout, int64_t ranks, double weight_bytes) {
    const auto times = [&](double count) { return count > 0 ? count : -count * 8.0 / static_cast<double>(ranks); };
    const double parameters = static_cast<double>(parameter_count(model_)), share = static_cast<double>(ranks - 1) / static_cast<double>(ranks);
    return parameters * share * (4 * times(layout.gradients) + weight_bytes * times(layout.weights));
  }
  test::Scratch scratch_{"traffic"};
  model::ModelConfig model_ = test::sized_config(320);
  int runs_ = 0;
};

TEST_F(TrafficOfAStep, IsTheLeastThatItsSchemeAllows) {
  for (const int64_t ranks : {2, 4}) {
    for (const Layout& layout : kLayouts) {
      const auto line = run(layout, ranks, at::kFloat);
      const double least = expected(layout, ranks, 4), sent = line.at("sent_bytes");
      const Scheme scheme{.ranks = ranks, .micro_batches = 8 / ranks, .weight_bytes = 4, .keep_weights = std::string(layout.reshard) == "keep",
                          .reduce_each = std::string(layout.reduce) == "micro", .recompute = std::string(layout.recompute) == "always"};
      EXPECT_DOUBLE_EQ(traffic_bytes(parameter_count(model_), scheme), least);
      EXPECT_GE(sent, least);
      EXPECT_LT(sent, 1.01 * least) << ranks << " ranks, " << layout.reshard << ", " << layout.reduce << ", recompute " << layout.recompute;
      EXPECT_EQ(line.at("received_bytes"), line.at("sent_bytes"));
      std::printf("[ traffic  ] %d ranks, %-4s %-5s recompute %-6s: %8.3f MB, least %8.3f MB, +%.2f %%\n", static_cast<int>(ranks), layout.reshard,
                  layout.reduce, layout.recompute, 1e-6 * sent, 1e-6 * least, 100 * (sent / least - 1));
    }
  }
}

TEST_F(TrafficOfAStep, WeightsOfTwoBytesAndTheBackendsOrder) {
  for (const Layout& layout : {kLayouts[0], kLayouts[6]}) {
    for (const char* order : {"ordered", "fast"}) {
      const double least = expected(layout, 2, 2), sent = run(layout, 2, at::kBFloat16, order).at("sent_bytes");
      EXPECT_GE(sent, least);
      EXPECT_LT(sent, 1.01 * least) << layout.reshard << ", " << order;
    }
  }
}

TEST_F(TrafficOfAStep, ALineTellsWhatWasReached) {
  const auto line = run(kLayouts[0], 2, at::kFloat);
  // One image of 6 patches and 2 latents in each of 8 samples; tokens as the line counts them.
  const double seconds = line.at("seconds"), tokens = line.at("tokens_per_second").get<double>() * seconds;
  double flops = 0;
  for (int64_t n = 0; n < 8; ++n) {
    const data::Batch batch = test::tiny_batch(model_, 1, 1, n);
    flops += flops_of(model_, {.frames = 1, .height = 8, .width = 12, .tokens = batch.input_ids_BL.size(1)}).training();
  }
  EXPECT_GT(tokens, 8 * 6.0);
  EXPECT_NEAR(line.at("flops_per_second").get<double>() * seconds, flops, 1e-6 * flops);
  EXPECT_NEAR(line.at("flops_utilisation").get<double>(), line.at("flops_per_second").get<double>() / 1e12, 1e-9);   // two ranks of 0.5
  for (const char* key : {"loss", "dimensions", "lr", "grad_norm", "samples_per_second", "tokens_per_second", "peak_memory_gib", "data_wait_seconds"})
    EXPECT_TRUE(line.contains(key)) << key;
  const auto alone = run(kLayouts[0], 1, at::kFloat);
  EXPECT_EQ(alone.at("sent_bytes"), 0);
  EXPECT_FALSE(alone.contains("traffic"));
}

}  // namespace
}  // namespace mvrm::train
