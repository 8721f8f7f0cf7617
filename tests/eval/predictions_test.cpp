// SPDX-License-Identifier: Apache-2.0
// Files of predictions, and the forward pass that makes them.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/eval/predictions.h>

#include <cmath>
#include <limits>
#include <thread>

#include "tests/support/lost_peer.h"
#include "tests/support/program.h"
#include "tests/support/tiny_dataset.h"

namespace {

using namespace mvrm;

std::filesystem::path write(const test::Scratch& scratch, const std::string& text) {
  core::write_file_atomic(scratch.path / "rows.jsonl", text);
  return scratch.path / "rows.jsonl";
}

std::string refusal(const std::filesystem::path& path) {
  try {
    eval::read_predictions(path);
  } catch (const core::DataError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Predictions, RoundTripKeepsEveryBitAndMissingLabels) {
  const test::Scratch scratch("predictions");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  eval::Predictions written{.ids = {"x", "y"}, .dimensions = {"quality", "text"}, .reward_NK = at::tensor({1.1f, 2.3456789f, -1e-7f, 3.0f}).view({2, 2}),
                            .label_NK = at::tensor({1.0f, nan, 4.0f, 2.5f}).view({2, 2})};
  eval::write_predictions(scratch.path / "p.jsonl", written);
  const auto read = eval::read_predictions(scratch.path / "p.jsonl");
  EXPECT_EQ(read.ids, written.ids);
  EXPECT_EQ(read.dimensions, written.dimensions);
  EXPECT_TRUE(at::equal(read.reward_NK.to(at::kFloat), written.reward_NK));
  EXPECT_TRUE(at::equal(read.label_NK.isnan(), written.label_NK.isnan()));
  EXPECT_TRUE(at::equal(read.label_NK.nan_to_num().to(at::kFloat), written.label_NK.nan_to_num()));
}

TEST(Predictions, ReadsVideoScoreRowsAsArrayAndAsLines) {
  const test::Scratch scratch("predictions");
  const std::string row = R"({"id": "7001917", "text": "a prompt", "ref": "[2, 2, 3, -1, 3]", "ans": "[1.898, 1.5, 2.953, 2.438, 1.648]"})";
  for (const auto& text : {"[\n" + row + "\n]\n", row + "\n"}) {
    const auto read = eval::read_predictions(write(scratch, text));
    EXPECT_EQ(read.dimensions, data::videofeedback_dimensions());
    EXPECT_EQ(read.reward_NK[0][0].item<double>(), 1.898);
    EXPECT_EQ(read.label_NK[0][2].item<float>(), 3.0f);
    EXPECT_TRUE(std::isnan(read.label_NK[0][3].item<float>()));
  }
}

// What `mvrm score --json` prints is one document.
TEST(Predictions, ReadsTheDocumentOfScore) {
  const test::Scratch scratch("predictions");
  const std::string results = R"("results": [
    {"id": "a", "video": "[{", "scores": {"quality": 1.5, "text": 2}, "frame_indices": [0, 3], "tokens": 12, "error": null},
    {"id": "b", "video": "b.mp4", "scores": {"quality": null, "text": null}, "frame_indices": [], "tokens": 0, "error": "sample 'b': gone"}
  ])";
  const auto read = eval::read_predictions(write(scratch, "{\n  \"dimensions\": [\"quality\", \"text\"],\n  " + results + "\n}\n"));
  EXPECT_EQ(read.ids, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(read.reward_NK[0][1].item<double>(), 2);
  EXPECT_TRUE(read.reward_NK[1].isnan().all().item<bool>());
  EXPECT_NE(refusal(write(scratch, "{\n  \"dimensions\": []\n}\n")).find("the \"results\" of 'mvrm score --json'"), std::string::npos);
  EXPECT_NE(refusal(write(scratch, "{\n  \"results\": []\n}\n")).find("holds no rows"), std::string::npos);
  EXPECT_NE(refusal(write(scratch, "{\n  \"results\": [{\"id\": 3}]\n}\n")).find("row 1"), std::string::npos);
  EXPECT_NE(refusal(write(scratch, "{\n  \"results\":")).find("not valid JSON"), std::string::npos);
}

TEST(Predictions, MatchesDimensionsByNameInEveryRow) {
  const test::Scratch scratch("predictions");
  const auto read = eval::read_predictions(write(scratch, R"({"id": "1", "scores": {"a": 1, "b": 2}, "labels": {"b": 3}}
{"id": "2", "scores": {"b": 4, "a": null}}
)"));
  EXPECT_EQ(read.dimensions, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(read.reward_NK[1][1].item<float>(), 4);
  EXPECT_TRUE(std::isnan(read.reward_NK[1][0].item<float>()));
  EXPECT_EQ(read.label_NK[0][1].item<float>(), 3);
}

TEST(Predictions, BrokenFilesNameTheLineAndTheCause) {
  const test::Scratch scratch("predictions");
  const std::string good = R"({"id": "1", "scores": {"a": 1}})";
  const std::pair<std::string, std::string> cases[] = {
      {"", "holds no rows"},
      {good + "\n{\"id\": \"2\", ", ":2: is not valid JSON"},
      {good + "\n{\"scores\": {\"a\": 1}}", ":2: a row needs a text 'id'"},
      {good + "\n{\"id\": \"2\"}", ":2: sample '2': neither 'scores' nor 'ans'"},
      {good + "\n{\"id\": \"2\", \"scores\": {\"a\": \"x\"}}", ":2: sample '2': 'scores.a' is not a number"},
      {good + "\n{\"id\": \"2\", \"scores\": [1]}", "'scores' must be an object"},
      {"[{\"id\": \"1\", \"ref\": \"[1, 2]\", \"ans\": \"[1, 2, 3, 4, 5]\"}]", "row 1: sample '1': 'ref' must be a string holding a list of 5 numbers"},
      {"[{\"id\": \"1\", ", "is not valid JSON"},
  };
  for (const auto& [text, cause] : cases) {
    const auto path = write(scratch, text);
    const std::string message = refusal(path);
    EXPECT_NE(message.find(cause), std::string::npos) << message;
    EXPECT_NE(message.find(path.string()), std::string::npos) << message;
  }
}

TEST(Predict, EndsBetweenChunksWhereAPeerIsLost) {
  const test::Scratch scratch("lost");
  data::Dataset dataset(test::tiny_manifest(scratch.path, 9), test::tiny_processor(), {}, {});
  const auto model = test::tiny_model_for_text();
  EXPECT_TRUE(test::stops_where_a_peer_is_lost(3, [&](dist::Communicator& comm) { eval::predict(model, dataset, 2, comm, {}); }));
}

TEST(Predict, BatchesThreadsAndRanksGiveTheSameTable) {
  const test::Scratch scratch("predict");
  const auto model = test::tiny_model_for_text();
  const auto open = [&](int64_t broken) {
    return std::make_unique<data::Dataset>(test::tiny_manifest(scratch.path, 11, broken), test::tiny_processor(),
                                           data::DatasetConfig{.max_bad_samples = 1}, core::Context{});
  };
  const auto single = dist::make_single();
  const auto one = eval::predict(model, *open(-1), 1, *single, {}, true);
  ASSERT_TRUE(one.reward_NK.isfinite().all().item<bool>());
  EXPECT_EQ(one.feature_ND.sizes(), (std::vector<int64_t>{11, 16}));
  EXPECT_TRUE(at::allclose(one.reward_NK, at::linear(one.feature_ND, model.parameters.back()[1], model.parameters.back()[2]), 1e-5, 1e-6));
  EXPECT_EQ(one.frame_indices[1], (std::vector<int64_t>{0, 1}));

  const auto batched = eval::predict(model, *open(-1), 4, *single, {});
  EXPECT_TRUE(at::allclose(batched.reward_NK, one.reward_NK, 1e-4, 1e-5));
  core::Context threads;
  threads.threads = 3;
  EXPECT_TRUE(at::equal(eval::predict(model, *open(-1), 4, *single, threads).reward_NK, batched.reward_NK));

  std::filesystem::remove(scratch.path / "s5_0.png");
  auto ranks = dist::make_thread_ranks(2);
  std::vector<eval::Predictions> tables(2);
  const auto first = open(5), second = open(5);   // before anybody reads: opening writes the pictures
  std::thread other([&] { tables[1] = eval::predict(model, *second, 1, *ranks[1], {}); });
  tables[0] = eval::predict(model, *first, 1, *ranks[0], {});
  other.join();
  for (const auto& table : tables) {
    EXPECT_TRUE(table.reward_NK[5].isnan().all().item<bool>());
    EXPECT_FALSE(table.errors[5].empty());
    EXPECT_TRUE(at::equal(table.reward_NK.slice(0, 0, 5), one.reward_NK.slice(0, 0, 5)));
    EXPECT_TRUE(at::equal(table.reward_NK.slice(0, 6), one.reward_NK.slice(0, 6)));
    EXPECT_EQ(table.tokens[9], one.tokens[9]);
    EXPECT_EQ(table.frame_indices[7], one.frame_indices[7]);
    EXPECT_EQ(table.label_NK[3][1].item<float>(), 2);
  }
}

}  // namespace
