// SPDX-License-Identifier: Apache-2.0
// The commands of docs/estimate.md as they stand there, and what the page says about them.
#include "tests/support/program.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace {

namespace fs = std::filesystem;
using mvrm::test::Outcome;
using mvrm::test::slurp;

class EstimateProgram : public testing::Test {
 protected:
  mvrm::test::Scratch scratch_{"estimate"};
  fs::path model_ = scratch_.path / "model";   // nothing but its config.json, which is all that is read

  void SetUp() override {
    fs::create_directories(model_);
    fs::copy_file(MVRM_SOURCE_DIR "/configs/demo/base/config.json", model_ / "config.json");
  }
  Outcome run(const std::string& arguments) const { return mvrm::test::run_program(MVRM_PROGRAM, "estimate " + arguments, scratch_.path); }
  // Line `number` of the page's first block, without "mvrm estimate"; its DIR is the model's directory.
  std::string documented(size_t number) const {
    const std::string page = slurp(MVRM_SOURCE_DIR "/docs/estimate.md");
    std::istringstream block(page.substr(page.find("```\n") + 4));
    std::string line;
    for (size_t i = 0; i <= number; ++i) std::getline(block, line);
    const std::string start = "mvrm estimate ";
    EXPECT_EQ(line.rfind(start, 0), 0U) << line;
    if (const size_t dir = line.find("--model DIR"); dir != std::string::npos) line.replace(dir, 11, "--model '" + model_.string() + "'");
    return line.substr(std::min(line.size(), start.size()));
  }
};

TEST_F(EstimateProgram, ThePublishedArchitectureOnEightGpus) {
  const Outcome tables = run(documented(0));
  ASSERT_EQ(tables.status, 0) << tables.err;
  for (const char* wanted : {"mantis-8b: 8.272e9 parameters", "8 GPUs", "needs ", "fits", "master weights and AdamW moments", "vision tower", "577 steps of 64 samples",
                             "40 % of the peak", "10 points less", "disk: "}) {
    EXPECT_NE(tables.out.find(wanted), std::string::npos) << "no '" << wanted << "' in: " << tables.out;
  }
  EXPECT_EQ(tables.err, "");
  const Outcome json = run(documented(0) + " --json");
  ASSERT_EQ(json.status, 0) << json.err;
  const auto document = nlohmann::json::parse(json.out);
  EXPECT_EQ(document.at("parameters"), 8'271'704'309);
  // The table of the page: 2 P of weights, 12 P / N, checkpoints of 12 P.
  EXPECT_NEAR(document.at("asked").at("memory_bytes").at("weights").get<double>() / 8'271'704'309.0, 2, 0.01);
  EXPECT_NEAR(document.at("asked").at("memory_bytes").at("optimizer").get<double>() / 8'271'704'309.0, 12.0 / 8, 0.01);
  EXPECT_NEAR(document.at("checkpoint_bytes").get<double>() / 8'271'704'309.0, 12, 1e-6);
  // "Prints the same numbers."
  char gpu_hours[64];
  std::snprintf(gpu_hours, sizeof gpu_hours, "%.1f GPU hours", document.at("gpu_hours").get<double>());
  EXPECT_NE(tables.out.find(gpu_hours), std::string::npos) << gpu_hours << " is not in: " << tables.out;
}

TEST_F(EstimateProgram, AModelDirectoryWithPcgradAsJson) {
  const Outcome json = run(documented(1));
  ASSERT_EQ(json.status, 0) << json.err;
  const auto document = nlohmann::json::parse(json.out);
  EXPECT_EQ(document.at("gpus"), 4);
  EXPECT_EQ(document.at("frames"), 24);
  EXPECT_TRUE(document.at("fits").get<bool>());
  EXPECT_TRUE(document.at("seconds").is_null()) << "without --gpu or --peak-tflops there are no times";
  EXPECT_EQ(document.at("schemes").size(), 16U);
  // K gradients under exact PCGrad.
  std::string equal = documented(1);
  equal.replace(equal.find("--balance pcgrad"), 16, "--balance equal");
  const auto without = nlohmann::json::parse(run(equal).out);
  EXPECT_NEAR(document.at("asked").at("memory_bytes").at("gradients").get<double>(), 5 * without.at("asked").at("memory_bytes").at("gradients").get<double>(), 1);
}

TEST_F(EstimateProgram, TheKnobsThatItNamesFitWhenTheyAreAskedFor) {
  const std::string node = "--model mantis-8b --gpus 8 --json --gpu-memory ";
  const double need = nlohmann::json::parse(run(node + "500 --reduce step").out).at("asked").at("need_gib");
  const std::string tight = node + std::to_string(need - 1);   // just too little
  const auto first = nlohmann::json::parse(run(tight + " --reduce step").out);
  EXPECT_FALSE(first.at("fits").get<bool>());
  const auto& best = first.at("best");
  const auto text = [&](const char* key) { return best.at(key).get<std::string>(); };
  const auto second = nlohmann::json::parse(run(tight + " --reduce " + text("reduce") + " --reshard " + text("reshard") +
                                                " --recompute " + text("recompute") + " --order " + text("order")).out);
  EXPECT_TRUE(second.at("fits").get<bool>());
  EXPECT_EQ(second.at("asked").at("need_gib"), best.at("need_gib"));
}

TEST_F(EstimateProgram, MistakesEndInOneLine) {
  const auto expect_line = [](const Outcome& outcome, int status, const std::string& part) {
    EXPECT_EQ(outcome.status, status) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err.rfind("mvrm: error: ", 0), 0U) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  };
  expect_line(run("--gpus 8"), 2, "--model");
  expect_line(run("--model mantis-9b --gpu-memory 80"), 2, "presets: mantis-8b");
  expect_line(run("--model mantis-8b --gpu-memory -1"), 2, "--gpu-memory");
  expect_line(run("--model mantis-8b --gpu-memory 80 --gpu abacus"), 2, "abacus");
  std::ofstream(model_ / "config.json") << "{";
  expect_line(run("--model '" + model_.string() + "' --gpu-memory 80"), 4, "config.json");
}

}  // namespace
