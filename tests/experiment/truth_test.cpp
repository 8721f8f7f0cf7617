// SPDX-License-Identifier: Apache-2.0
// Wrong labels planted into a data file, and pairs of clips with preferences.
#include "src/experiment/truth.h"

#include <fstream>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/data/manifest.h>
#include <mvrm/eval/pairwise_accuracy.h>

#include "src/experiment/figures.h"
#include "src/experiment/pairs.h"
#include "tests/support/program.h"

#include <ATen/ATen.h>

namespace {

using namespace mvrm;

TEST(Truth, PlantedLabelsAreInTheDataAndTheRightOnesBeside) {
  const test::Scratch scratch("truth");
  std::ofstream data(scratch.path / "train.jsonl");
  for (int n = 0; n < 20; ++n) {
    data << R"({"id": "c)" << n << R"(", "video": "clips/c.mp4", "prompt": "a dog", "labels": {"a": )" << 1 + n % 4 << R"(, "b": )" << (n == 3 ? "null" : "2") << "}}\n";
  }
  data << R"({"id": "c20", "video": "clips/c.mp4", "prompt": "a dog", "labels": {"a": 1, "b": 3}})" << "\n";
  data.close();
  const auto planted = scratch.path / "planted" / "train.jsonl", truth = scratch.path / "planted" / "truth.jsonl";
  experiment::write_planted(scratch.path / "train.jsonl", {"a", "b"}, {.share = 0.2, .seed = 3}, planted, truth);
  const auto before = data::load_manifest(scratch.path / "train.jsonl"), after = data::load_manifest(planted);
  const auto right = experiment::read_true_labels(truth);
  ASSERT_EQ(after.samples.size(), 21U);
  int changed = 0;
  for (size_t n = 0; n < after.samples.size(); ++n) {
    EXPECT_EQ(after.samples[n].video.filename(), "c.mp4");
    EXPECT_TRUE(after.samples[n].video.is_absolute() || after.samples[n].video.string().find("planted") != std::string::npos);
    EXPECT_DOUBLE_EQ(experiment::true_label(right, after.samples[n].id, "a"), static_cast<double>(before.samples[n].label_K[0]));
    changed += after.samples[n].label_K[0] != before.samples[n].label_K[0] ? 1 : 0;
  }
  EXPECT_EQ(changed, 4);   // round(0.2 * 21)
  EXPECT_TRUE(std::isnan(after.samples[3].label_K[1])) << "no label stays no label";
  EXPECT_THROW(experiment::true_label(right, "c3", "b"), core::DataError);
  EXPECT_THROW(experiment::true_label(right, "nobody", "a"), core::DataError);
}

TEST(Truth, ABadLineIsNamed) {
  const test::Scratch scratch("truth_bad");
  std::ofstream(scratch.path / "truth.jsonl") << R"({"id": "a", "labels": {}})" << "\n{\"id\": \"b\"}\n";
  try {
    experiment::read_true_labels(scratch.path / "truth.jsonl");
    FAIL();
  } catch (const core::DataError& error) {
    EXPECT_NE(std::string(error.what()).find("truth.jsonl:2:"), std::string::npos) << error.what();
  }
}

TEST(Pairs, EveryPairHasTwoClipsAndAVote) {
  const test::Scratch scratch("pairs");
  const auto files = experiment::render_pairs(scratch.path, 12, 5, {});
  const auto clips = data::load_manifest(files.clips);
  const auto votes = eval::read_votes(files.votes);
  EXPECT_EQ(clips.samples.size(), 24U);
  EXPECT_EQ(clips.samples[3].id, "1_right");
  EXPECT_TRUE(std::filesystem::exists(clips.samples[3].video));
  ASSERT_EQ(votes.keys.size(), 12U);
  for (const auto kind : {eval::Preference::left, eval::Preference::right})
    EXPECT_NE(std::count(votes.preferences.begin(), votes.preferences.end(), kind), 0);
  const std::string first = core::read_file(files.votes);
  experiment::render_pairs(scratch.path, 12, 5, {});
  EXPECT_EQ(core::read_file(files.votes), first);
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(Figures, EveryCurveAndEveryPointIsDrawn) {
  const std::string svg = experiment::curves_svg({"1", "2", "5"}, {{"a & b", {1, 2, 3}}, {"mean", {2, std::nan(""), 4}}}, "alpha");
  EXPECT_EQ(count(svg, "<polyline"), 2U);
  EXPECT_NE(svg.find("a &amp; b"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(experiment::curves_svg({"1"}, {{"flat", {1}}}, "x").find("nan"), std::string::npos);
  const at::Tensor risk_NK = at::rand({7, 3}, at::kDouble);
  risk_NK[2][1] = std::nan("");
  const std::string scatter = experiment::scatter_svg(risk_NK, at::rand({7}, at::kDouble), {"a", "b", "c"});
  EXPECT_EQ(count(scatter, "<circle"), 7U + 6U + 6U);   // pairs (a,c), (a,b), (b,c)
}

}  // namespace
