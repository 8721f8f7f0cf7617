// SPDX-License-Identifier: Apache-2.0
// `mvrm refine` as a user types it: plans, automatic alpha, suspects, calibrated suspicion, known errors, corrections that are trained on.
#include "tests/support/program_suite.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace {

using mvrm::test::Outcome;
using mvrm::test::slurp;
using Json = nlohmann::ordered_json;

class Refine : public mvrm::test::ProgramSuite<Refine> {
 protected:
  static void SetUpTestSuite() {
    open("refine");
    ASSERT_EQ(run("synth --out '" + at("clips") + "' --videos 40 --test-videos 4 --noise 0.1 --seed 7").status, 0);
    std::ofstream(at("run.yaml")) << "run: {dir: '" << at("base") << "', seed: 3}\nmodel: {path: '" MVRM_SOURCE_DIR "/configs/demo/init', init: random}\n"
                                  << "data: {train: '" << at("clips/train.jsonl") << "'}\n"
                                  << "train: {epochs: 1, batch: 8, micro_batch: 4}\noptimizer: {lr: 1.0e-3}\ncheckpoint: {every: 100, keep: 1}\n";
    const Outcome trained = run(train("base"));
    ASSERT_EQ(trained.status, 0) << trained.err;
    const Outcome profile = run("profile --features f32 --model '" + at("base/model") + "' --data '" + at("clips/train.jsonl") + "' --out '" + at("profile") + "'");
    ASSERT_EQ(profile.status, 0) << profile.err;
  }
  static Outcome refine(const std::string& arguments) { return run("refine --profile '" + at("profile") + "' " + arguments); }
  static std::string train(const std::string& dir, const std::string& more = "") {
    return "train --config '" + at("run.yaml") + "' --set 'run.dir=" + at(dir) + "' " + more;
  }
  static Json json(const std::string& arguments) {
    const Outcome outcome = refine(arguments + " --json");
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return Json::parse(outcome.out, nullptr, false);
  }
};

TEST_F(Refine, SummaryIsTheContractsAndMore) {
  const Json ddp = json("--strategy ddp --alpha 5 --out '" + at("p.jsonl") + "'");
  for (const char* key : {"strategy", "kept", "removed", "per_dimension", "cumulative_union", "label_histogram_removed", "weight_quantiles"})
    EXPECT_TRUE(ddp.contains(key)) << key;
  EXPECT_EQ(ddp["per_dimension"]["visual quality"]["count"], 2);
  EXPECT_EQ(ddp["removed"], ddp["cumulative_union"].back());
  const Json best = json("--strategy ddp --alpha paper_best --out '" + at("p.jsonl") + "'");
  EXPECT_EQ(best["per_dimension"]["visual quality"]["alpha_percent"], 0.1);
  EXPECT_EQ(best["per_dimension"]["dynamic degree"]["alpha_percent"], 0.5);
  const Json automatic = json("--strategy mask --alpha auto --fdr 0.2 --out '" + at("p.jsonl") + "'");
  EXPECT_EQ(automatic["removed"], 0);
  const Json fair = json("--strategy uncertainty --alpha 5 --budget match_union --out '" + at("p.jsonl") + "'");
  EXPECT_EQ(fair["removed"], ddp["removed"]);
  const Outcome table = refine("--strategy ddr --out '" + at("p.jsonl") + "'");
  EXPECT_NE(table.out.find("weights of kept samples"), std::string::npos) << table.out;
}

TEST_F(Refine, SuspectsAreListedFilteredAndWritten) {
  const Outcome table = refine("--list-suspects 5 --csv '" + at("s.csv") + "'");
  EXPECT_EQ(table.status, 0) << table.err;
  const std::string csv = slurp(at("s.csv"));
  EXPECT_EQ(csv.find("id,prompt,dimension,label,prediction,residual,risk,z,percentile"), 0U);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 6);
  const Json filtered = json("--list-suspects 50 --by held_out --high 'text-to-video alignment' --low 'visual quality' --high-percentile 70");
  EXPECT_EQ(filtered["risk"], "held_out");
  for (const auto& suspect : filtered["suspects"]) {
    EXPECT_EQ(suspect["dimension"], "text-to-video alignment");
    EXPECT_GE(suspect["percentile"], 70);
  }
  const Json calibrated = json("--list-suspects 5 --calibrate");
  EXPECT_TRUE(calibrated["suspects"][0].contains("noise_probability"));
  EXPECT_EQ(calibrated["calibration"]["reliability"].size(), 10U);
  EXPECT_EQ(calibrated["calibration"]["held_out"], true);
}

TEST_F(Refine, RisksAreComparedWithTheTruth) {
  const Json document = json("--truth '" + at("clips/truth.jsonl") + "' --at 4");
  for (const char* risk : {"self_influence", "loss", "tracin", "tracin_zsum", "held_out", "cook", "uncertainty"}) {
    ASSERT_TRUE(document["methods"].contains(risk)) << risk;
    const auto& visual = document["methods"][risk]["dimensions"]["visual quality"];
    EXPECT_EQ(visual["labels"], 40);
    EXPECT_EQ(visual["positives"], 4);
    EXPECT_EQ(visual["precision_at"]["4"], visual["precision_at_positives"]);
  }
  EXPECT_NE(refine("--truth '" + at("clips/truth.jsonl") + "'").out.find("AUROC"), std::string::npos);
}

// Training with a corrections file is training on the corrected data file, to the bit.
TEST_F(Refine, CorrectionsAreTrainedOn) {
  std::istringstream lines(slurp(at("clips/train.jsonl")));
  std::ofstream corrected(at("clips/corrected.jsonl")), corrections(at("corrections.jsonl"));
  int row_number = 0;
  for (std::string line; std::getline(lines, line); ++row_number) {
    Json row = Json::parse(line);
    if (row_number % 3 == 0) {
      auto& label = row["labels"]["visual quality"];
      const Json old = label;
      label = row_number % 6 == 0 ? Json(5 - old.get<int>()) : Json();
      corrections << Json{{"id", row["id"]}, {"dimension", "visual quality"}, {"old", old}, {"new", label}, {"by", "ann"}, {"at", "now"}}.dump() << "\n";
    }
    corrected << row.dump() << "\n";
  }
  corrected.close();
  corrections.close();
  const Outcome by_file = run(train("by_file", "--set 'data.train=" + at("clips/corrected.jsonl") + "'"));
  ASSERT_EQ(by_file.status, 0) << by_file.err;
  const Outcome by_log = run(train("by_log", "--set refine.strategy=correction --set 'refine.corrections=" + at("corrections.jsonl") + "'"));
  ASSERT_EQ(by_log.status, 0) << by_log.err;
  EXPECT_EQ(slurp(at("by_file/model/model.safetensors")), slurp(at("by_log/model/model.safetensors")));
  EXPECT_NE(slurp(at("base/model/model.safetensors")), slurp(at("by_log/model/model.safetensors")));
  const Json summary = json("--strategy correction --corrections '" + at("corrections.jsonl") + "' --out '" + at("p.jsonl") + "'");
  EXPECT_EQ(summary["changed_labels"].get<int>() + summary["removed_labels"].get<int>(), 14);
}

TEST_F(Refine, MistakesAreNamed) {
  const std::string out = "--out '" + at("p.jsonl") + "' ";
  const auto expect_error = [&](const std::string& arguments, int status, const std::string& part) {
    const Outcome outcome = refine(arguments);
    EXPECT_EQ(outcome.status, status) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  };
  expect_error("", 2, "--list-suspects");
  expect_error(out + "--strategy ddp --alpha 101", 2, "alpha");
  expect_error(out + "--strategy ddp --alpha some", 2, "paper_best");
  expect_error(out + "--strategy ddr --tau 0", 2, "tau");
  expect_error(out + "--strategy correction", 2, "corrections file");
  expect_error(out + "--strategy row_sum_ddp", 3, "--space");
  expect_error("--list-suspects 3 --by gut", 2, "self_influence");
  expect_error("--list-suspects 3 --high sharpness", 2, "visual quality");
  expect_error("--truth '" + at("none.jsonl") + "'", 5, "none.jsonl");
}

}  // namespace
