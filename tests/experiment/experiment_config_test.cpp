// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <gtest/gtest.h>
#include <mvrm/config/yaml_reader.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/experiment/suite.h>

#include "tests/support/program.h"

namespace {

using namespace mvrm;

const std::filesystem::path kSource = MVRM_SOURCE_DIR;

std::string refusal(const std::vector<std::string>& overrides) {
  try {
    experiment::load_experiment_config({kSource / "configs/demo/experiment.yaml"}, overrides);
  } catch (const core::ConfigError& error) {
    return error.what();
  }
  return "taken";
}

TEST(ExperimentConfig, ShippedOnesAreRead) {
  const auto demo = experiment::load_experiment_config({kSource / "configs/demo/experiment.yaml"}, {});
  EXPECT_TRUE(demo.renders());
  EXPECT_TRUE(std::filesystem::exists(demo.training.model.path / "config.json"));
  const auto paper = experiment::load_experiment_config({kSource / "configs/paper/experiment.yaml"}, {"model.path=" + (kSource / "configs/demo/base").string()});
  EXPECT_FALSE(paper.renders());
  EXPECT_EQ(paper.training.training.optimizer.lr, 1e-5);   // spec: the paper's recipe
  EXPECT_EQ(paper.training.training.train.batch, 64);
  EXPECT_EQ(paper.training.training.train.epochs, 1);
}

TEST(ExperimentConfig, MistakesAreNamed) {
  EXPECT_NE(refusal({"render.videos=0"}).find("give data.train and data.test, or render.videos"), std::string::npos);
  EXPECT_NE(refusal({"data.train=a.jsonl"}).find("both given"), std::string::npos);
  EXPECT_NE(refusal({"render.test_videos=3"}).find("at least 10 clips"), std::string::npos);
  EXPECT_NE(refusal({"render.videos=0", "data.train=a.jsonl"}).find("data.test"), std::string::npos);
  EXPECT_NE(refusal({"data.votes=v.jsonl"}).find("data.pairs and data.votes go together"), std::string::npos);
  EXPECT_NE(refusal({"experiment.alphas=[5, 1]"}).find("rising"), std::string::npos);
  EXPECT_NE(refusal({"experiment.alphas=[5, 500]"}).find("at most 100"), std::string::npos);
  EXPECT_NE(refusal({"experiment.taus=[0]"}).find("experiment.taus"), std::string::npos);
  EXPECT_NE(refusal({"experiment.noise_kind=loud"}).find("uniform_other"), std::string::npos);
  EXPECT_NE(refusal({"experiment.alhpa=1"}).find("did you mean 'alpha'"), std::string::npos);
}

TEST(ExperimentConfig, KeysInTheDocsAreWhatTheProgramReads) {
  const std::filesystem::path path = kSource / "docs/experiments.md";
  const std::string tables = config::to_markdown(experiment::ExperimentConfig{}), page = core::read_file(path);
  const size_t begin = page.find("\n## `experiment`");
  ASSERT_NE(begin, std::string::npos);
  // The groups of a training run are in docs/config.md.
  const std::string own = tables.substr(0, tables.find("\n## `model`"));
  if (std::getenv("MVRM_WRITE_DOCS") != nullptr) core::write_file_atomic(path, page.substr(0, begin) + "\n" + own + "\n");
  EXPECT_EQ(core::read_file(path).substr(begin + 1), own + "\n") << "MVRM_WRITE_DOCS=1 and this test write it anew";
}

TEST(Suites, AreThoseOfTheContract) {
  std::string names;
  for (const auto& suite : experiment::suites()) names += suite.name + " ";
  EXPECT_EQ(names, "main row-sum genai-bench correction backbone tau seeds alpha overlap noise scatter combine frames ");
}

}  // namespace
