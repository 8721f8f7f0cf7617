// SPDX-License-Identifier: Apache-2.0
#include "tests/support/program.h"

#include <gtest/gtest.h>
#include <mvrm/config/yaml_reader.h>
#include <mvrm/core/error.h>
#include <mvrm/run/run_config.h>

namespace {

using mvrm::run::load_run_config;
using mvrm::run::RunConfig;
using mvrm::test::Scratch;

std::filesystem::path write(const Scratch& scratch, const std::string& name, const std::string& text) {
  std::ofstream(scratch.path / name) << text;
  return scratch.path / name;
}
constexpr const char* kMinimal = "run: {dir: out}\nmodel: {path: base}\ndata: {train: train.jsonl}\n";

TEST(RunConfig, DefaultsAreThoseOfTheContract) {
  const Scratch scratch("rc1");
  const RunConfig config = load_run_config({write(scratch, "a.yaml", kMinimal)}, {});
  EXPECT_EQ(config.run.dir, "out");
  EXPECT_EQ(config.run.seed, 42U);
  EXPECT_EQ(config.data.sampling, "all");
  EXPECT_EQ(config.data.max_frames, 16);
  EXPECT_EQ(config.refine.strategy, "none");
  EXPECT_EQ(config.refine.alpha.scalar, 0.5);
  EXPECT_EQ(config.training.train.batch, 64);
  EXPECT_EQ(config.training.optimizer.lr, 1e-5);
  EXPECT_EQ(config.training.schedule.kind, "cosine");
  EXPECT_EQ(config.training.schedule.warmup_ratio, 0.03);
  EXPECT_EQ(config.training.checkpoint.every, 100);
}

TEST(RunConfig, LaterFilesAndOverridesWin) {
  const Scratch scratch("rc2");
  const auto first = write(scratch, "a.yaml", std::string(kMinimal) + "optimizer: {lr: 1e-4}\n");
  const auto second = write(scratch, "b.yaml", "optimizer: {weight_decay: 0}\nrefine:\n  strategy: ddp\n  alpha: {visual quality: 0.1}\n");
  const RunConfig config = load_run_config({first, second}, {"optimizer.lr=2e-5", "train.epochs=3"});
  EXPECT_EQ(config.training.optimizer.lr, 2e-5);
  EXPECT_EQ(config.training.optimizer.weight_decay, 0);
  EXPECT_EQ(config.training.train.epochs, 3);
  const auto alpha = mvrm::run::alpha_percent(config.refine.alpha, {"temporal consistency", "visual quality"});
  EXPECT_EQ(alpha, (std::vector<double>{0.5, 0.1}));
  EXPECT_THROW(mvrm::run::alpha_percent(config.refine.alpha, {"motion"}), mvrm::core::ConfigError);
}

TEST(RunConfig, ResolvedTreeReadsBackToItself) {
  const Scratch scratch("rc3");
  RunConfig config = load_run_config({write(scratch, "a.yaml", kMinimal)}, {"refine.alpha={visual quality: 0.1}", "optimizer.lr=3e-6"});
  const std::string text = mvrm::config::to_yaml(config);
  RunConfig again = load_run_config({write(scratch, "b.yaml", text)}, {});
  EXPECT_EQ(text, mvrm::config::to_yaml(again));
}

TEST(RunConfig, ShippedConfigurationsAreRead) {
  for (const char* name : {"baseline.yaml", "ddp.yaml", "ddr.yaml", "demo/pretrain_two_frames.yaml", "demo/pretrain_all_frames.yaml", "demo/pretrain_two_colours.yaml"}) {
    EXPECT_NO_THROW(load_run_config({std::filesystem::path(MVRM_SOURCE_DIR) / "configs" / name}, {})) << name;
  }
}

}  // namespace
