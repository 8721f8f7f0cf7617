// SPDX-License-Identifier: Apache-2.0
// mvrm profile as a user starts it: killed again and again, on two processes, estimated again from kept features, refused when it must be.
#include "tests/support/program_suite.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

namespace {

namespace fs = std::filesystem;
using mvrm::test::Outcome;
using mvrm::test::slurp;

class ProfileProgram : public mvrm::test::ProgramSuite<ProfileProgram> {
 protected:
  static void SetUpTestSuite() {
    open("profile_program");
    const Outcome synth = run("synth --out '" + at("clips") + "' --videos 320 --test-videos 8 --noise 0.1 --seed 7");
    ASSERT_EQ(synth.status, 0) << synth.err;
    std::ofstream(at("run.yaml")) << "run: {dir: '" << at("base") << "', seed: 3}\nmodel: {path: '" MVRM_SOURCE_DIR "/configs/demo/init', init: random}\n"
                                  << "data: {train: '" << at("clips/test.jsonl") << "'}\ntrain: {epochs: 1, batch: 4}\n";
    const Outcome train = run("train --quiet --config '" + at("run.yaml") + "'");
    ASSERT_EQ(train.status, 0) << train.err;
    const Outcome whole = run(command("whole", "--features"));
    ASSERT_EQ(whole.status, 0) << whole.err;
  }
  static std::string command(const std::string& out, const std::string& more = "") {
    return "profile --model '" + at("base/model") + "' --data '" + at("clips/train.jsonl") + "' --out '" + at(out) + "' " + more;
  }
  static std::string rows(const std::string& out) { return slurp(at(out + "/profile.safetensors")); }
  // Numbers of the first sample in self_influence.csv.
  static std::vector<double> first_row(const std::string& out) {
    std::istringstream lines(slurp(at(out + "/self_influence.csv")));
    std::string line;
    std::getline(lines, line);
    std::getline(lines, line);
    std::istringstream cells(line);
    std::vector<double> numbers;
    std::string cell;
    std::getline(cells, cell, ',');   // the id
    while (std::getline(cells, cell, ',')) numbers.push_back(std::stod(cell));
    EXPECT_EQ(numbers.size(), 5U) << line;
    return numbers;
  }
};

// One that is over before it is killed is compared, and the next begins anew.
TEST_F(ProfileProgram, KilledAtTenRandomMomentsItEqualsTheWholeOneBitForBit) {
  const std::string killed = command("killed", "--features");
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(run(command("timed", "--features")).status, 0);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  ASSERT_FALSE(rows("whole").empty());
  const auto expect_whole = [](const std::string& out) {
    EXPECT_TRUE(rows(out) == rows("whole"));
    for (const char* name : {"profile.json", "samples.jsonl", "self_influence.csv"}) EXPECT_EQ(slurp(at(out) + "/" + name), slurp(at("whole") + "/" + name)) << name;
  };
  std::mt19937 random(20261125);
  int kills = 0, progress = 0;
  for (int start_number = 0; kills < 10 && start_number < 60; ++start_number) {
    const pid_t child = mvrm::test::start_program(MVRM_PROGRAM, killed, at("killed.log"));
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds * std::uniform_real_distribution<double>(0.1, 0.9)(random)));
    ::kill(child, SIGKILL);
    int raw = 0;
    ::waitpid(child, &raw, 0);
    progress += slurp(at("killed.log")).find("are done already") != std::string::npos ? 1 : 0;
    if (WIFSIGNALED(raw)) {
      ++kills;
      continue;
    }
    ASSERT_EQ(WEXITSTATUS(raw), 0) << slurp(at("killed.log"));
    expect_whole("killed");
    fs::remove_all(at("killed"));
  }
  EXPECT_EQ(kills, 10);
  EXPECT_GE(progress, 3) << "runs that found samples of the one before";
  const Outcome last = run(killed);
  ASSERT_EQ(last.status, 0) << last.err;
  expect_whole("killed");
}

// The launcher is killed; its ranks die with it.
TEST_F(ProfileProgram, TwoProcessesThatAreKilledGoOnToTheSameBytes) {
  const std::string two = command("killed_two", "--features --nproc-per-node 2");
  for (int kill = 0; kill < 3; ++kill) {
    const pid_t child = mvrm::test::start_program(MVRM_PROGRAM, two, at("killed.log"));
    const fs::path partial = at("killed_two/profile.safetensors");
    for (int wait = 0; wait < 600 && !fs::exists(partial); ++wait) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::this_thread::sleep_for(std::chrono::milliseconds(100 + 100 * kill));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  Outcome last = run(two);
  for (int again = 0; last.status == 2 && again < 20; ++again) {   // until the ranks are gone: the folder is theirs
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    last = run(two);
  }
  ASSERT_EQ(last.status, 0) << last.err;
  EXPECT_TRUE(rows("killed_two") == rows("whole"));
}

TEST_F(ProfileProgram, TwoProcessesWriteTheBytesOfOne) {
  const Outcome two = run(command("two", "--features --nproc-per-node 2 --json"));
  ASSERT_EQ(two.status, 0) << two.err;
  EXPECT_TRUE(rows("two") == rows("whole"));
  EXPECT_EQ(slurp(at("two") + "/profile.json"), slurp(at("whole") + "/profile.json")) << "statistics merged over ranks";
  EXPECT_TRUE(slurp(at("two") + "/ridge.safetensors") == slurp(at("whole") + "/ridge.safetensors"));
  EXPECT_EQ(nlohmann::json::parse(two.out).at("done"), 320) << "one rank prints";
}

TEST_F(ProfileProgram, EstimatesAgainFromKeptFeatures) {
  fs::rename(at("clips/videos"), at("clips/elsewhere"));
  const Outcome same = run("profile --from '" + at("whole") + "' --out '" + at("same") + "'");
  EXPECT_EQ(same.status, 0) << same.err;
  EXPECT_TRUE(rows("same") == rows("whole"));
  const Outcome ridge = run("profile --json --from '" + at("whole") + "' --estimator ridge_loo --out '" + at("ridge") + "'");
  EXPECT_EQ(ridge.status, 0) << ridge.err;
  const auto document = nlohmann::json::parse(ridge.out);
  EXPECT_EQ(document.at("estimator"), "ridge_loo");
  EXPECT_EQ(document.at("dimensions").at("visual quality").at("count"), 320);
  EXPECT_EQ(run("refine --profile '" + at("ridge") + "' --strategy ddp --alpha 5 --out '" + at("plan.jsonl") + "'").status, 0);
  const auto first = nlohmann::json::parse(slurp(at("clips/train.jsonl")).substr(0, slurp(at("clips/train.jsonl")).find('\n')));
  const int label = first.at("labels").at("visual quality");
  std::ofstream(at("corrections.jsonl")) << nlohmann::json{{"id", first.at("id")}, {"dimension", "visual quality"}, {"old", label}, {"new", 5 - label}} << "\n";
  const Outcome fixed = run("profile --json --from '" + at("whole") + "' --labels '" + at("corrections.jsonl") + "' --out '" + at("fixed") + "'");
  EXPECT_EQ(fixed.status, 0) << fixed.err;
  EXPECT_NE(nlohmann::json::parse(fixed.out).at("dimensions").at("visual quality").at("mean"),
            nlohmann::json::parse(slurp(at("whole/profile.json"))).at("statistics").at("visual quality").at("mean"));
  const Outcome head = run("profile --from '" + at("whole") + "' --head '" + at("base/model") + "' --out '" + at("head") + "'");
  EXPECT_EQ(head.status, 0) << head.err;
  fs::rename(at("clips/elsewhere"), at("clips/videos"));
}

TEST_F(ProfileProgram, SaysHowFarItIsFromThePlainLoss) {
  const Outcome table = run("profile --from '" + at("whole") + "' --out '" + at("printed") + "'");
  ASSERT_EQ(table.status, 0) << table.err;
  for (const char* part : {"Spearman(S, r2)", "Jaccard@", "coefficient of variation of the squared feature norm: ", "Spearman between dimensions"})
    EXPECT_NE(table.out.find(part), std::string::npos) << "no '" << part << "' in: " << table.out;
  for (const std::string estimator : {"loss", "closed_form"}) {
    const Outcome json = run("profile --json --from '" + at("whole") + "' --estimator " + estimator + " --out '" + at("printed_" + estimator) + "'");
    ASSERT_EQ(json.status, 0) << json.err;
    const auto document = nlohmann::json::parse(json.out);
    EXPECT_GT(document.at("feature_sq_norm_cv").get<double>(), 0);
    ASSERT_EQ(document.at("dimensions").size(), 5U);
    for (const auto& [name, dimension] : document.at("dimensions").items()) {
      const double spearman = dimension.at("spearman_with_loss"), jaccard = dimension.at("jaccard_with_loss");
      if (estimator == "loss") EXPECT_TRUE(spearman == 1 && jaccard == 1) << name << spearman << jaccard;
      else EXPECT_TRUE(spearman > 0.5 && spearman < 1 && jaccard > 0 && jaccard <= 1) << name << " " << spearman << " " << jaccard;
      EXPECT_NEAR(dimension.at("spearman_with").at(name).get<double>(), 1, 1e-12);
      for (const auto& [other, correlation] : dimension.at("spearman_with").items())
        EXPECT_NEAR(correlation.get<double>(), document.at("dimensions").at(other).at("spearman_with").at(name).get<double>(), 1e-12);
    }
  }
}

// The sum over two checkpoints that are one and the same profile: its table times the sum of the learning rates.
TEST_F(ProfileProgram, TracinSumsTheProfilesOfCheckpoints) {
  const std::string whole = at("whole");
  const Outcome tracin = run("profile --from '" + whole + "' --estimator tracin --checkpoint '" + whole + "=0.25' --checkpoint '" + whole + "=0.5' --out '" + at("tracin") + "'");
  ASSERT_EQ(tracin.status, 0) << tracin.err;
  const auto one = first_row("whole"), sum = first_row("tracin");
  for (size_t k = 0; k < one.size(); ++k) EXPECT_NEAR(sum[k], 0.75 * one[k], 1e-5 * one[k]) << k;
  EXPECT_EQ(run("profile --from '" + whole + "' --estimator tracin --checkpoint '" + whole + "' --out '" + at("x") + "'").status, 2);
}

// In the head's own space a row sum is the closed form: nothing else is on the row.
TEST_F(ProfileProgram, RowSumsComeFromTheProductsOfASpace) {
  const std::string test = "profile --quiet --model '" + at("base/model") + "' --data '" + at("clips/test.jsonl") + "' --estimator row_sum --out ";
  const Outcome head = run(test + "'" + at("row_head") + "' --space head"), last = run(test + "'" + at("row_last") + "' --space last_layer");
  ASSERT_EQ(head.status, 0) << head.err;
  ASSERT_EQ(last.status, 0) << last.err;
  ASSERT_EQ(run("profile --from '" + at("row_head") + "' --out '" + at("row_closed") + "'").status, 0);
  const auto closed = first_row("row_closed"), of_head = first_row("row_head"), of_last = first_row("row_last");
  for (size_t k = 0; k < closed.size(); ++k) EXPECT_NEAR(of_head[k], closed[k], 1e-4 * closed[k] + 1e-6) << k;
  EXPECT_NE(of_last, of_head);
  for (const std::string strategy : {"row_sum_ddp --alpha 20", "row_sum_ddr"}) {
    const Outcome plan = run("refine --json --profile '" + at("row_last") + "' --strategy " + strategy + " --out '" + at("row_plan.jsonl") + "'");
    ASSERT_EQ(plan.status, 0) << plan.err;
    EXPECT_EQ(nlohmann::json::parse(plan.out).at("removed").get<int>() > 0, strategy.starts_with("row_sum_ddp"));
  }
}

TEST_F(ProfileProgram, RefusesWhatDoesNotFit) {
  const Outcome other = run("profile --from '" + at("whole") + "' --data '" + at("clips/test.jsonl") + "' --out '" + at("x") + "'");
  EXPECT_EQ(other.status, 3);
  EXPECT_NE(other.err.find("is not the file that the profile was made from"), std::string::npos) << other.err;
  const Outcome nothing = run("profile --out '" + at("x") + "'");
  EXPECT_EQ(nothing.status, 2) << nothing.err;
  const Outcome estimator = run("profile --from '" + at("whole") + "' --estimator magic --out '" + at("x") + "'");
  EXPECT_EQ(estimator.status, 2) << estimator.err;
  EXPECT_NE(estimator.err.find("known: closed_form"), std::string::npos) << estimator.err;
  const Outcome needs = run("profile --from '" + at("whole") + "' --estimator row_sum --out '" + at("x") + "'");
  EXPECT_EQ(needs.status, 3) << needs.err;
  EXPECT_NE(needs.err.find("--space head+mlp"), std::string::npos) << needs.err;
}

TEST_F(ProfileProgram, OtherDataThanTheProfilesAreRefusedByEveryCommand) {
  const auto expect_refused = [](const Outcome& outcome) {
    EXPECT_EQ(outcome.status, 3) << outcome.err;
    EXPECT_NE(outcome.err.find("test.jsonl: is not the file that the profile was made from (SHA-256 "), std::string::npos) << outcome.err;
  };
  expect_refused(run("explain --model '" + at("base/model") + "' --data '" + at("clips/test.jsonl") + "' --profile '" + at("whole") + "' --out '" + at("x") + "'"));
  expect_refused(run("train --quiet --config '" + at("run.yaml") + "' --set 'run.dir=" + at("refused") + "' --set refine.strategy=ddp --set 'refine.profile=" + at("whole") + "'"));
}

// Three samples of five dimensions, one dimension without labels, one with equal ones: what is defined works, the rest says what is missing.
TEST_F(ProfileProgram, FewSamplesEmptyAndConstantDimensionsAreDefined) {
  std::istringstream lines(slurp(at("clips/train.jsonl")));
  std::string line;
  {
    std::ofstream few(at("clips/few.jsonl"));
    for (int n = 0; n < 3 && std::getline(lines, line); ++n) {
      auto row = nlohmann::json::parse(line);
      row["labels"].erase("dynamic degree");
      row["labels"]["visual quality"] = 2;
      few << row.dump() << "\n";
    }
  }
  const Outcome profile = run("profile --json --features --model '" + at("base/model") + "' --data '" + at("clips/few.jsonl") + "' --out '" + at("few") + "'");
  ASSERT_EQ(profile.status, 0) << profile.err;
  const auto document = nlohmann::json::parse(profile.out);
  EXPECT_EQ(document.at("dimensions").at("dynamic degree").at("count"), 0);
  EXPECT_EQ(document.at("dimensions").at("visual quality").at("count"), 3);
  const std::string base = "refine --json --profile '" + at("few") + "' --out '" + at("few.plan") + "' --strategy ";
  for (const char* strategy : {"ddp", "mask", "high_loss", "tracin_zsum"}) {
    const Outcome plan = run(base + strategy + " --alpha 30");
    ASSERT_EQ(plan.status, 0) << strategy << plan.err;
    EXPECT_EQ(nlohmann::json::parse(plan.out).at("kept").get<int>() + nlohmann::json::parse(plan.out).at("removed").get<int>(), 3) << strategy;
  }
  const Outcome reweighted = run(base + "ddr");
  ASSERT_EQ(reweighted.status, 0) << reweighted.err;
  EXPECT_EQ(run(base + "mask --alpha auto").status, 0);
  const Outcome all = run(base + "ddp --alpha 100");
  EXPECT_EQ(all.status, 2);
  EXPECT_NE(all.err.find("removes every label of the data; lower alpha"), std::string::npos) << all.err;
  for (const char* alpha : {"0", "-1", "100.5", "nan"}) {
    const Outcome outside = run(base + "ddp --alpha=" + alpha);
    EXPECT_EQ(outside.status, 2) << alpha;
    EXPECT_NE(outside.err.find("alpha: must be above 0 and at most 100 percent, got"), std::string::npos) << outside.err;
  }
  for (const char* tau : {"0", "-0.5", "nan"}) {
    const Outcome outside = run(base + "ddr --tau=" + tau);
    EXPECT_EQ(outside.status, 2) << tau;
    EXPECT_NE(outside.err.find("tau: must be above 0, got"), std::string::npos) << outside.err;
  }
  const Outcome whatif = run("whatif --json --profile '" + at("few") + "' --drop '" + nlohmann::json::parse(line).at("id").get<std::string>() + ":visual quality'");
  ASSERT_EQ(whatif.status, 0) << whatif.err;
  EXPECT_TRUE(nlohmann::json::parse(whatif.out).at("dimensions").at("dynamic degree").at("lambda").is_null());
  const Outcome train = run("train --quiet --config '" + at("run.yaml") + "' --set 'data.train=" + at("clips/few.jsonl") + "' --set 'run.dir=" + at("few_run") +
                            "' --set refine.strategy=ddp --set refine.alpha=0");
  EXPECT_EQ(train.status, 2) << train.err;
  EXPECT_NE(train.err.find("alpha"), std::string::npos) << train.err;
}

TEST_F(ProfileProgram, TrainingLeavesAProfileThatRefineReads) {
  const Outcome train = run("train --quiet --collect-influence --config '" + at("run.yaml") + "' --set 'run.dir=" + at("online") + "'");
  ASSERT_EQ(train.status, 0) << train.err;
  const Outcome plan = run("refine --json --profile '" + at("online/online_profile") + "' --strategy mask --alpha 20 --out '" + at("online.plan") + "'");
  ASSERT_EQ(plan.status, 0) << plan.err;
  EXPECT_EQ(nlohmann::json::parse(plan.out).at("per_dimension").at("visual quality").at("count"), 2);
  const Outcome relative = run("profile --json --from '" + at("online/online_profile") + "' --estimator online_relative --out '" + at("relative") + "'");
  ASSERT_EQ(relative.status, 0) << relative.err;
  EXPECT_EQ(nlohmann::json::parse(relative.out).at("estimator"), "online_relative");
}

TEST_F(ProfileProgram, AlphaIsSearchedAndNoisePlantedOnKeptFeatures) {
  const std::string base = "refine --profile '" + at("whole") + "' ";
  const Outcome none = run(base + "--strategy ddp --alpha search");
  EXPECT_EQ(none.status, 2);
  EXPECT_NE(none.err.find("--validation"), std::string::npos) << none.err;
  const Outcome search = run(base + "--strategy mask --alpha search --candidates 1 10 --validation '" + at("whole") + "' --json --out '" + at("searched.plan") + "'");
  ASSERT_EQ(search.status, 0) << search.err;
  const auto found = nlohmann::json::parse(search.out);
  const auto& quality = found.at("alpha_search").at("dimensions").at("visual quality");
  EXPECT_EQ(quality.at("spearman").size(), 2U);
  const double alpha = quality.at("alpha");
  EXPECT_EQ(alpha, quality.at("spearman")[1].get<double>() > quality.at("spearman")[0].get<double>() ? 10.0 : 1.0);
  EXPECT_EQ(found.at("per_dimension").at("visual quality").at("count"), alpha == 1 ? 4 : 32);
  const Outcome table = run(base + "--strategy ddp --alpha search --validation '" + at("whole") + "'");
  ASSERT_EQ(table.status, 0) << table.err;
  EXPECT_NE(table.out.find("0 (all labels)"), std::string::npos) << table.out;
  EXPECT_EQ(run(base + "--strategy ddr --alpha search --validation '" + at("whole") + "'").status, 2);
  const Outcome noise = run(base + "--plant-noise 0.1 --noise-kind farthest --json");
  ASSERT_EQ(noise.status, 0) << noise.err;
  const auto planted = nlohmann::json::parse(noise.out);
  EXPECT_EQ(planted.at("methods").at("self_influence").at("dimensions").at("visual quality").at("positives"), 32);
  EXPECT_GT(planted.at("methods").at("self_influence").at("mean").at("auroc").get<double>(), 0.7);
  EXPECT_EQ(run(base + "--plant-noise 1.5").status, 2);
  EXPECT_EQ(run(base + "--plant-noise 0.1 --noise-kind loud").status, 2);
}

TEST_F(ProfileProgram, WhatIfAnswersFromFeatures) {
  std::istringstream lines(slurp(at("whole/samples.jsonl")));
  std::string line;
  std::getline(lines, line);
  const std::string id = nlohmann::json::parse(line).at("id");
  const std::string base = "whatif --profile '" + at("whole") + "' ";
  const Outcome drop = run(base + "--json --drop '" + id + "' --csv '" + at("whatif.csv") + "'");
  ASSERT_EQ(drop.status, 0) << drop.err;
  const auto document = nlohmann::json::parse(drop.out);
  EXPECT_EQ(document.at("changed"), 5);
  EXPECT_EQ(document.at("results").size(), 320U);
  EXPECT_NE(document.at("results")[0].at("before"), document.at("results")[0].at("after"));
  EXPECT_EQ(slurp(at("whatif.csv")).substr(0, 26), "id,dimension,before,after\n");
  const Outcome set = run(base + "--set '" + id + ":visual quality=4' --explain '" + id + "' --top 2");
  ASSERT_EQ(set.status, 0) << set.err;
  EXPECT_NE(set.out.find("1 labels changed"), std::string::npos) << set.out;
  EXPECT_NE(set.out.find("(falls)"), std::string::npos) << set.out;
  EXPECT_GT(document.at("dimensions").at("visual quality").at("largest_change").get<double>(), document.at("dimensions").at("visual quality").at("mean_change").get<double>());
  // By gradients at the trained head a label's influence on itself is its self-influence.
  const Outcome by_head = run(base + "--explain '" + id + "' --by head --top 320 --json");
  ASSERT_EQ(by_head.status, 0) << by_head.err;
  const auto pulls = nlohmann::json::parse(by_head.out).at("explain").at("dimensions");
  const auto own = first_row("whole");
  const std::vector<std::string> names{"visual quality", "temporal consistency", "dynamic degree", "text-to-video alignment", "factual consistency"};
  for (size_t k = 0; k < names.size(); ++k) {
    const auto& proponents = pulls.at(names[k]).at("proponents");
    const auto itself = std::find_if(proponents.begin(), proponents.end(), [&](const auto& item) { return item.at("id") == id; });
    ASSERT_NE(itself, proponents.end()) << names[k];
    EXPECT_NEAR(itself->at("influence").template get<double>(), own[k], 1e-4 * own[k]) << names[k];
    EXPECT_EQ(proponents.size() + pulls.at(names[k]).at("opponents").size(), 320U) << names[k];
  }
  EXPECT_EQ(run(base + "--drop nobody").status, 2);
  EXPECT_EQ(run(base).status, 2);
  std::ofstream(at("drops.txt")) << id << "\nnobody\n";
  const Outcome listed = run(base + "--drop '@" + at("drops.txt") + "'");
  EXPECT_EQ(listed.status, 2) << listed.err;
  EXPECT_NE(listed.err.find("drops.txt:2: sample 'nobody' is not in the profile"), std::string::npos) << listed.err;
  const Outcome typo = run(base + "--set '" + id + ":visual quality=33'");
  EXPECT_EQ(typo.status, 2) << typo.err;
  EXPECT_NE(typo.err.find("the labels' scale is 1 to 4"), std::string::npos) << typo.err;
  EXPECT_EQ(run(base + "--set '" + id + "=x'").status, 2);
}

TEST_F(ProfileProgram, ExplainWritesTablesAndPictures) {
  const std::string base = "explain --model '" + at("base/model") + "' --data '" + at("clips/train.jsonl") + "' --out '" + at("explained") + "' ";
  const Outcome risky = run(base + "--profile '" + at("whole") + "' --top-percent 0.8 --grid 2 --json");
  ASSERT_EQ(risky.status, 0) << risky.err;
  const auto results = nlohmann::json::parse(risky.out).at("results");
  ASSERT_GE(results.size(), 1U);
  EXPECT_EQ(results[0].at("dimensions").at("visual quality").at("reward_without_frame").size(), 8U);
  const auto& quality = results[0].at("dimensions").at("visual quality");
  EXPECT_TRUE(quality.at("reward_step")[0].is_null());
  EXPECT_NEAR(quality.at("reward_step")[3].get<double>(), quality.at("reward_up_to_frame")[3].get<double>() - quality.at("reward_up_to_frame")[2].get<double>(), 1e-5);
  EXPECT_GT(quality.at("prefix_self_influence")[7].get<double>(), 0);
  int curves = 0, pictures = 0;
  for (const auto& entry : fs::directory_iterator(at("explained"))) {
    curves += entry.path().extension() == ".svg" && slurp(entry.path()).starts_with("<svg") ? 1 : 0;
    pictures += entry.path().extension() == ".png" && slurp(entry.path()).substr(1, 3) == "PNG" ? 1 : 0;
  }
  EXPECT_EQ(curves, static_cast<int>(results.size()));
  EXPECT_EQ(pictures, static_cast<int>(results.size()));
  const std::string frames = slurp(at("explained/frames.csv"));
  EXPECT_EQ(static_cast<size_t>(std::count(frames.begin(), frames.end(), '\n')), 1 + results.size() * 8 * 5);
  const std::string id = results[0].at("id").get<std::string>();
  const Outcome alone = run(base + "--id '" + id + "' --grid 2 --regions alone");
  ASSERT_EQ(alone.status, 0) << alone.err;
  EXPECT_NE(alone.out.find("lowest region"), std::string::npos) << alone.out;
  const std::string regions = slurp(at("explained/regions.csv"));
  EXPECT_TRUE(regions.starts_with("id,frame,row,column,dimension,reward,reward_of_region_alone,below_mean\n")) << regions.substr(0, 200);
  EXPECT_EQ(std::count(regions.begin(), regions.end(), '\n'), 1 + 8 * 4 * 5);
  EXPECT_EQ(run(base + "--id '" + id + "' --regions sideways").status, 2);
  EXPECT_EQ(run(base + "--id nobody").status, 2);
  EXPECT_EQ(run(base).status, 2);
  ASSERT_EQ(run("train --quiet --config '" + at("run.yaml") + "' --set 'run.dir=" + at("other") + "' --set run.seed=4").status, 0);
  const Outcome other = run("explain --model '" + at("other/model") + "' --data '" + at("clips/train.jsonl") + "' --profile '" + at("whole") + "' --out '" + at("x") + "'");
  EXPECT_EQ(other.status, 3) << other.err;
  EXPECT_NE(other.err.find("was made by another model than"), std::string::npos) << other.err;
}

}  // namespace
