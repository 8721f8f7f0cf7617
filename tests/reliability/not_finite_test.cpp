// SPDX-License-Identifier: Apache-2.0
// A number that is none is refused at the door it comes in by, with the place, the sample or the tensor (spec/reliability.md R8): eight doors,
// NaN and both infinities at each. What gets past all doors into a training step is tests/train/not_finite_test.cpp's.
#include <gtest/gtest.h>
#include <limits>
#include <mvrm/core/error.h>
#include <mvrm/data/manifest.h>
#include <mvrm/eval/predictions.h>
#include <mvrm/influence/profile_pass.h>
#include <mvrm/refine/corrections.h>
#include <mvrm/refine/strategy.h>

#include "tests/support/program.h"
#include "tests/support/tiny_dataset.h"

namespace mvrm {
namespace {

namespace fs = std::filesystem;

// As a file writes it and as a number; the infinities of a file are numbers too large for float64.
struct Value { std::string text; float number; };
const Value kValues[] = {{"NaN", std::numeric_limits<float>::quiet_NaN()}, {"1e999", std::numeric_limits<float>::infinity()}, {"-1e999", -std::numeric_limits<float>::infinity()}};

class Doors : public testing::Test {
 protected:
  test::Scratch scratch_{"doors"};
  data::Manifest manifest_ = test::tiny_manifest(scratch_.path, 6);
  model::RewardModel model_ = test::tiny_model_for_text();
  int refused_ = 0;

  fs::path file(const std::string& name, const std::string& text) const {
    std::ofstream(scratch_.path / name) << text;
    return scratch_.path / name;
  }
  template <class Use> void expect_refused(const std::string& door, const Value& value, core::ExitStatus status, const std::vector<std::string>& parts, const Use& use) {
    try {
      use();
      ADD_FAILURE() << door << " " << value.text << " was taken";
    } catch (const core::Error& error) {
      const std::string said = error.what();
      EXPECT_EQ(error.status(), status) << door << " " << value.text << ": " << said;
      for (const auto& part : parts) EXPECT_NE(said.find(part), std::string::npos) << door << " " << value.text << ": no '" << part << "' in: " << said;
      EXPECT_EQ(said.find('\n'), std::string::npos) << said;
      ++refused_;
    }
  }
  influence::Profile profile() {
    data::Dataset dataset(manifest_, test::tiny_processor(), {}, {});
    const auto alone = dist::make_single();
    return influence::compute_profile(model_, dataset, {}, *alone, {});
  }
  // The parameter of that name, for the caller to spoil.
  at::Tensor parameter(const std::string& name) {
    for (size_t u = 0; u < model_.units.size(); ++u)
      for (size_t i = 0; i < model_.units[u].parameters.size(); ++i)
        if (model_.units[u].parameters[i].name == name) return model_.parameters[u][i];
    throw std::runtime_error("no parameter " + name);
  }
};

TEST_F(Doors, LabelOfADataFile) {
  for (const Value& value : kValues) {
    const auto path = file("rows.jsonl", R"({"id": "a", "prompt": "p", "images": ["s0_0.png"], "labels": {"quality": 2}})" "\n"
                                         R"({"id": "b", "prompt": "p", "images": ["s0_0.png"], "labels": {"quality": )" + value.text + "}}\n");
    expect_refused("label", value, core::ExitStatus::data, {"rows.jsonl:2"}, [&] { data::load_manifest(path, {}); });
  }
  EXPECT_EQ(refused_, 3);
}

TEST_F(Doors, CorrectedLabel) {
  for (const Value& value : kValues) {
    const auto path = file("corrections.jsonl", R"({"id": "s0", "dimension": "dimension 0", "old": 1, "new": )" + value.text + "}\n");
    expect_refused("correction", value, core::ExitStatus::data, {"corrections.jsonl:1"}, [&] { refine::read_corrections(path); });
  }
  EXPECT_EQ(refused_, 3);
}

TEST_F(Doors, WeightOfAPlan) {
  const std::string header = R"({"strategy": "ddr", "dimensions": ["quality"]})" "\n";
  for (const Value& value : kValues) {
    const auto path = file("plan.jsonl", header + R"({"id": "a", "keep": true, "weight": {"quality": )" + value.text + "}}\n");
    expect_refused("weight", value, core::ExitStatus::data, {"plan.jsonl:2"}, [&] { refine::read_plan(path); });
  }
  EXPECT_EQ(refused_, 3);
  // Finite as a float64, infinite as the float32 that it becomes.
  const auto path = file("plan.jsonl", header + R"({"id": "a", "keep": true, "weight": {"quality": 1e39}})" "\n");
  expect_refused("weight", {"1e39", 0}, core::ExitStatus::data, {"plan.jsonl:2", "'quality'"}, [&] { refine::read_plan(path); });
}

TEST_F(Doors, ParameterOfAModelFile) {
  for (const Value& value : kValues) {
    model_ = test::tiny_model_for_text();
    parameter("model.text_model.norm.weight")[3] = value.number;
    model::save_reward_model(scratch_.path / "model", model_, {});
    expect_refused("parameter", value, core::ExitStatus::model, {"not finite", "model.text_model.norm.weight"},
                   [&] { model::load_reward_model(scratch_.path / "model", at::kFloat); });
  }
  EXPECT_EQ(refused_, 3);
}

TEST_F(Doors, FeatureOfASample) {
  for (const Value& value : kValues) {
    model_ = test::tiny_model_for_text();
    parameter("model.text_model.norm.weight")[3] = value.number;
    expect_refused("feature", value, core::ExitStatus::numeric, {"sample 's0'", "not finite"}, [&] { profile(); });
  }
  EXPECT_EQ(refused_, 3);
}

// A reward that is finite by itself, and whose square isn't.
TEST_F(Doors, RewardOfASample) {
  for (const Value& value : kValues) {
    model_ = test::tiny_model_for_text();
    model_.parameters.back().back()[1] = std::isnan(value.number) ? value.number : std::copysign(1e30F, value.number);
    expect_refused("reward", value, core::ExitStatus::numeric, {"sample 's0'", std::isnan(value.number) ? "output is not finite" : "dimension 'dimension 1': the self-influence is not finite"},
                   [&] { profile(); });
  }
  EXPECT_EQ(refused_, 3);
}

TEST_F(Doors, InfluenceOfAProfile) {
  const influence::Profile good = profile();
  for (const Value& value : kValues) {
    influence::Profile bad = good;
    bad.self_influence_NK = good.self_influence_NK.clone();
    bad.self_influence_NK[2][1] = value.number;
    influence::write_profile(scratch_.path / "profile", bad);
    const influence::Profile read = influence::read_profile(scratch_.path / "profile");
    expect_refused("influence", value, core::ExitStatus::data, {"sample 's2'", "dimension 'dimension 1'", "not finite"},
                   [&] { refine::refine(read, {.strategy = "ddp", .alpha_percent_K = {30}}); });
  }
  EXPECT_EQ(refused_, 3);
}

TEST_F(Doors, ScoreOfAPredictionsFile) {
  for (const Value& value : kValues) {
    const auto path = file("predictions.jsonl", R"({"id": "a", "labels": {"quality": 2}, "scores": {"quality": 1.5}})" "\n"
                                                R"({"id": "b", "labels": {"quality": 3}, "scores": {"quality": )" + value.text + "}}\n");
    expect_refused("score", value, core::ExitStatus::data, {"predictions.jsonl"}, [&] { eval::read_predictions(path); });
  }
  EXPECT_EQ(refused_, 3);
}

}  // namespace
}  // namespace mvrm
