// SPDX-License-Identifier: Apache-2.0
// What mvrm writes, Python reads, and the other way round: with safetensors (third_party/requirements-test.txt), and with transformers where
// MVRM_TRANSFORMERS_PYTHON names an interpreter that has it (the environment of scripts/make_golden.py).
#include <ATen/ATen.h>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <mvrm/core/safetensors.h>
#include <mvrm/model/reward_model.h>

#include "tests/support/fidelity.h"
#include "tests/support/program.h"
#include "tests/support/tiny_model.h"

namespace mvrm::model {
namespace {

const std::string kSource = MVRM_SOURCE_DIR;

bool has_module(const std::string& python, const std::string& module, const test::Scratch& scratch) {
  return !python.empty() && test::run_program(python, "-c 'import " + module + "'", scratch.path).status == 0;
}

void expect_equal(const RewardModel& a, const RewardModel& b) {
  for (size_t u = 0; u < a.units.size(); ++u)
    for (size_t i = 0; i < a.parameters[u].size(); ++i) EXPECT_TRUE(at::equal(a.parameters[u][i], b.parameters[u][i])) << a.units[u].parameters[i].name;
}

TEST(RoundTrip, PythonSafetensorsReadsAndWritesTheSameTensors) {
  const test::Scratch scratch("round_trip");
  const std::string python = kSource + "/.venv/bin/python";
  if (!has_module(python, "safetensors.numpy", scratch)) GTEST_SKIP() << "no safetensors and numpy in .venv: scripts/setup.sh installs them";
  const RewardModel model = test::tiny_model();
  for (const uint64_t max_shard_bytes : {kMaxShardBytes, uint64_t{10'000}}) {
    const auto ours = scratch.path / "ours", theirs = scratch.path / "theirs";
    save_reward_model(ours, model, {}, max_shard_bytes);
    const auto outcome = test::run_program(python, "'" + kSource + "/tests/parity/round_trip.py' '" + ours.string() + "' '" + theirs.string() + "'", scratch.path);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    expect_equal(load_reward_model(theirs, at::kFloat), model);
    std::filesystem::remove_all(theirs);
  }
}

TEST(RoundTrip, TransformersLoadsScoresAndSavesTheModel) {
  const test::Scratch scratch("transformers");
  const char* python = std::getenv("MVRM_TRANSFORMERS_PYTHON");
  if (!python || !has_module(python, "transformers", scratch))
    GTEST_SKIP() << "MVRM_TRANSFORMERS_PYTHON names no python with torch and transformers (2.5 GB; see scripts/make_golden.py)";
  const RewardModel model = test::tiny_model();
  const data::Batch batch = test::tiny_batch(model.config, 3);
  const auto ours = scratch.path / "ours", theirs = scratch.path / "theirs";
  save_reward_model(ours, model, {}, 10'000);
  const at::Tensor pixels_BNCHW = batch.pixels_RCHW.unsqueeze(1);
  core::write_safetensors(ours / "batch.safetensors",
                          {{"input_ids", batch.input_ids_BL}, {"attention_mask", batch.attention_mask_BL}, {"pixel_values", pixels_BNCHW},
                           {"pixel_attention_mask", at::ones({3, 1, pixels_BNCHW.size(3), pixels_BNCHW.size(4)}, at::kLong)}});
  const auto outcome =
      test::run_program(python, "'" + kSource + "/tests/parity/transformers_round_trip.py' '" + ours.string() + "' '" + theirs.string() + "'", scratch.path);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const at::Tensor want = core::SafetensorsFile::open(theirs / "scores.safetensors").tensor("scores");
  std::filesystem::remove(theirs / "scores.safetensors");
  test::Fidelity fidelity("scores of the same files in transformers, float32, absolute", 1e-4);
  fidelity.add("scores", (forward(model, batch).reward_BK - want).abs().max().item<double>(), "three samples");
  const RewardModel back = load_reward_model(theirs, at::kFloat);
  expect_equal(back, model);
  EXPECT_TRUE(std::filesystem::exists(theirs / "model.safetensors.index.json")) << "transformers wrote shards";
}

}  // namespace
}  // namespace mvrm::model
