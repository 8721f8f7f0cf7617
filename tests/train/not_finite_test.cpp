// SPDX-License-Identifier: Apache-2.0
// Numbers that are none never get into the weights unseen (spec/reliability.md R8), wherever they come from and on however many ranks.
#include <gtest/gtest.h>
#include <cmath>
#include <limits>
#include <mvrm/core/error.h>

#include "tests/train/ranks.h"

namespace mvrm::train {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN(), kInfinity = std::numeric_limits<double>::infinity();

class NotFinite : public testing::Test {
 protected:
  test::Scratch scratch_{"not_finite"};
  model::ModelConfig config_ = test::tiny_config();
  Samples samples_ = test::tiny_samples(config_, 16);
  int runs_ = 0;

  // Sample s3, spoilt; the others are good.
  Samples with_bad(const std::function<void(data::Batch&)>& spoil) const {
    Samples samples = samples_;
    samples.load = [load = samples_.load, spoil](const std::vector<int64_t>& wanted) {
      auto loaded = load(wanted);
      if (wanted.front() == 3) spoil(loaded.batch);
      return loaded;
    };
    return samples;
  }
  Samples with_weight(double weight) const {
    Samples samples = samples_;
    samples.weight_NK = samples_.weight_NK.clone();
    samples.weight_NK[3].fill_(weight);
    return samples;
  }
  test::TinyRun run(int64_t ranks) { return {.config = test::tiny_train_config(9), .ranks = ranks, .dir = scratch_.path / std::to_string(runs_++)}; }
  static std::pair<int, int> lines_and_skipped(const std::filesystem::path& dir) {
    const std::string text = test::slurp(dir / "metrics.jsonl");
    int skipped = 0;
    for (size_t at = text.find("\"skipped\":true"); at != std::string::npos; at = text.find("\"skipped\":true", at + 1)) ++skipped;
    return {static_cast<int>(std::count(text.begin(), text.end(), '\n')), skipped};
  }
};

// A NaN label is no label: it is masked, not refused.
TEST_F(NotFinite, AStepWithABadSampleIsSkippedAndCountedAndLeavesNoTrace) {
  std::map<std::string, Samples> cases;
  for (const double value : {kNaN, kInfinity, -kInfinity}) {
    const std::string text = " " + std::to_string(value);
    cases["pixel" + text] = with_bad([value](data::Batch& batch) { batch.pixels_RCHW[0][1][2][3] = value; });
    if (!std::isnan(value)) cases["label" + text] = with_bad([value](data::Batch& batch) { batch.label_BK[0][2] = value; });
    cases["loss" + text] = with_weight(value);
  }
  // The loss is a float64; the gradient in the model's float32 has no room for it, or is what an infinity less another leaves.
  cases["gradient inf"] = with_weight(1e300);
  cases["gradient -inf"] = with_weight(-1e300);
  cases["gradient nan"] = with_weight(1e300);
  cases["gradient nan"].weight_NK[3][0] = -1e300;
  EXPECT_EQ(cases.size(), 11U);
  for (const auto& [name, samples] : cases) {
    for (const int64_t ranks : {1, 2}) {
      test::TinyRun job = run(ranks);
      const auto weights = test::run_tiny(job, samples);
      for (const auto& [parameter, value] : weights) EXPECT_TRUE(value.isfinite().all().item<bool>()) << name << ": " << parameter;
      // 16 samples in batches of 6: s3 is in one step of three.
      EXPECT_EQ(lines_and_skipped(job.dir), (std::pair<int, int>{9, 3})) << name << " on " << ranks << " ranks";
    }
  }
}

TEST_F(NotFinite, AParameterThatIsNoneEndsTheRunWithStatus6OnEveryRank) {
  for (const double value : {kNaN, kInfinity, -kInfinity}) {
    test::on_ranks(2, [&](dist::Communicator& comm) {
      model::RewardModel model = test::tiny_model();
      model.parameters[2][0].view(-1)[0] = value;
      const TrainJob job{.config = test::tiny_train_config(9), .run_dir = scratch_.path / "broken", .processor_dir = {}, .resume = "never"};
      try {
        run_training(model, samples_, job, comm, {});
        ADD_FAILURE() << "went on";
      } catch (const core::Error& error) {
        EXPECT_EQ(error.status(), core::ExitStatus::numeric);
        EXPECT_NE(std::string(error.what()).find("3 steps in a row"), std::string::npos) << error.what();
      }
    });
  }
}

}  // namespace
}  // namespace mvrm::train
