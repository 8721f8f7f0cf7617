// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <iostream>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/refine/noise.h>
#include <mvrm/refine/risk.h>
#include <mvrm/run/process.h>
#include <mvrm/run/refine_run.h>

namespace mvrm::app {

namespace {

config::ScalarOrMap parse_alpha(const std::vector<std::string>& values) {
  config::ScalarOrMap alpha;
  if (values.size() == 1 && (values.front() == "auto" || values.front() == "paper_best" || values.front() == "search")) {
    alpha.word = values.front();
    return alpha;
  }
  for (const auto& value : values) {
    const auto equals = value.rfind('=');
    const std::string number = equals == std::string::npos ? value : value.substr(equals + 1);
    size_t used = 0;
    double percent = 0;
    try {
      percent = std::stod(number, &used);
    } catch (const std::exception&) {
    }
    if (used == 0 || used != number.size())
      throw core::ConfigError("--alpha: '" + value + "' is none of: a percentage, 'dimension=percentage', auto, search, paper_best");
    if (equals == std::string::npos) alpha.scalar = percent;
    else alpha.map[value.substr(0, equals)] = percent;
  }
  return alpha;
}

template <class Entries>
std::string list_of(const std::string& title, const Entries& entries) {
  std::string text = title;
  for (const auto& entry : entries) text += std::string("\n  ") + entry.name + ": " + entry.help;
  return text;
}

struct RefineOptions {
  run::RefineRunOptions run;
  mvrm::refine::SuspectOptions suspects;
  std::vector<std::string> alpha{"0.5"};
  std::vector<int64_t> counts{10, 100};
  std::string by = "self_influence";
  std::filesystem::path csv, truth, validation;
  std::vector<double> candidates{std::begin(mvrm::refine::kPaperAlphas), std::end(mvrm::refine::kPaperAlphas)};
  double noise = 0;
  std::string noise_kind = "uniform_other";
  bool json = false, calibrate = false;
};

void add_options(CLI::App& app, RefineOptions& o) {
  app.add_option("--profile", o.run.profile_dir, "profile directory")->required();
  app.add_option("--strategy", o.run.refine.strategy, list_of("one of", mvrm::refine::strategies()));
  app.add_option("--out", o.run.plan_file, "plan file to write");
  app.add_option("--alpha", o.alpha, "percent of labels per dimension: a number, 'dimension=number' for each, auto (read off the residuals), "
                                     "search (tried on --validation), or paper_best")->capture_default_str();
  app.add_option("--validation", o.validation, "with --alpha search: a profile of validation data by the same model; both profiles need features");
  app.add_option("--candidates", o.candidates, "with --alpha search: percentages to try")->capture_default_str();
  app.add_option("--fdr", o.run.refine.fdr, "with --alpha auto: the share of false alarms that is aimed at")->capture_default_str();
  app.add_option("--tau", o.run.refine.tau, "temperature of reweighting")->capture_default_str();
  app.add_option("--budget", o.run.refine.budget, "alpha, or match_union: remove as many samples as ddp would")->capture_default_str();
  app.add_option("--corrections", o.run.refine.corrections, "corrections file, for the strategy correction");
  app.add_option("--seed", o.run.seed, "seed of the random strategy")->check(natural())->capture_default_str();
  app.add_option("--list-suspects", o.suspects.count, "print the N labels that most likely are wrong instead of writing a plan")->check(positive());
  app.add_option("--by", o.by, list_of("risk that ranks suspects, one of", mvrm::refine::risks()))->capture_default_str();
  app.add_option("--high", o.suspects.high, "only samples of high risk in this dimension (may be repeated)");
  app.add_option("--low", o.suspects.low, "only samples of low risk in this dimension (may be repeated)");
  app.add_option("--high-percentile", o.suspects.high_percentile, "what --high means")->check(CLI::Range(0.0, 100.0))->capture_default_str();
  app.add_option("--low-percentile", o.suspects.low_percentile, "what --low means")->check(CLI::Range(0.0, 100.0))->capture_default_str();
  app.add_flag("--calibrate", o.calibrate, "rank suspects by the probability that the label is wrong, calibrated by planting known flips, and suggest "
                                           "a label; best with kept features (mvrm profile --features)");
  app.add_option("--csv", o.csv, "write the suspects to this file");
  app.add_option("--truth", o.truth, "truth file of mvrm synth: how well each risk finds the labels that are known to be wrong");
  app.add_option("--plant-noise", o.noise, "share of the labels to make wrong: plants them, refits the head on kept features, and says how well each risk finds them");
  app.add_option("--noise-kind", o.noise_kind, "with --plant-noise: " + mvrm::refine::noise_kind_names())->capture_default_str();
  app.add_option("--at", o.counts, "with --truth and --plant-noise: counts for precision at k")->check(positive())->capture_default_str();
  app.add_flag("--json", o.json, "print JSON");
  app.footer("Example: mvrm refine --profile runs/profile --strategy ddp --alpha 0.5 --out plan.jsonl\n"
             "         mvrm refine --profile runs/profile --strategy ddp --alpha search --validation runs/validation --out plan.jsonl\n"
             "         mvrm refine --profile runs/profile --list-suspects 20 --high 'text-to-video alignment' --low 'visual quality'");
}

void print_suspects(const RefineOptions& o, const influence::Profile& profile) {
  const auto [suspects, calibration] = run::suspects_run(profile, o.by, o.suspects, o.calibrate, o.run.seed);
  if (!o.csv.empty()) core::write_file_atomic(o.csv, mvrm::refine::to_csv(suspects, profile));
  if (o.json) {
    nlohmann::ordered_json document{{"risk", o.by}, {"suspects", mvrm::refine::to_json(suspects, profile)}};
    if (calibration) document["calibration"] = mvrm::refine::to_json(*calibration, profile.dimensions);
    std::cout << document.dump(2) << "\n";
    return;
  }
  std::cout << run::suspects_table(suspects, profile);
  if (calibration) std::cout << run::calibration_table(*calibration, profile.dimensions);
}

void print_detection(const RefineOptions& o, const nlohmann::ordered_json& detection, const influence::Profile& profile) {
  std::cout << (o.json ? detection.dump(2) + "\n" : run::detection_table(detection, profile.dimensions));
}

// Tries the candidates; the choice takes the place of the word.
nlohmann::ordered_json search_alpha(RefineOptions& o, const influence::Profile& profile) {
  if (o.validation.empty()) throw core::ConfigError("mvrm refine: --alpha search needs --validation PROFILE_DIR; see 'mvrm refine --help'");
  const auto outcome = run::alpha_search_run(o.run, profile, o.validation, o.candidates, run::make_context({}));
  o.run.refine.alpha = {};
  for (size_t k = 0; k < profile.dimensions.size(); ++k) o.run.refine.alpha.map[profile.dimensions[k]] = outcome.choice.percent_K[k];
  if (!o.json) std::cout << run::alpha_search_table(outcome, profile.dimensions);
  return run::alpha_search_json(outcome, profile.dimensions);
}

void print_plan(RefineOptions& o, const influence::Profile& profile) {
  o.run.refine.alpha = parse_alpha(o.alpha);
  const bool search = o.run.refine.alpha.word == "search";
  const nlohmann::ordered_json searched = search ? search_alpha(o, profile) : nlohmann::ordered_json();
  if (o.run.plan_file.empty()) {
    if (o.json) std::cout << searched.dump(2) << "\n";
    return;
  }
  const mvrm::refine::PlanSummary summary = run::refine_run(o.run, profile);
  if (!o.json) {
    std::cout << run::summary_table(summary, profile.dimensions);
    return;
  }
  nlohmann::ordered_json document = mvrm::refine::to_json(summary, profile.dimensions);
  if (search) document["alpha_search"] = searched;
  std::cout << document.dump(2) << "\n";
}

}  // namespace

int refine(const Arguments& arguments) {
  CLI::App app("Turns a profile into a refinement plan (plan.jsonl), lists suspect labels, or compares risks with known errors.");
  RefineOptions o;
  add_options(app, o);
  if (!parse(app, arguments)) return 0;

  const influence::Profile profile = influence::read_profile(o.run.profile_dir);
  const bool list = app.count("--list-suspects") > 0, search = o.alpha == std::vector<std::string>{"search"};
  const bool plan = app.count("--strategy") > 0 && (app.count("--out") > 0 || search);
  const bool looks = !o.truth.empty() || app.count("--plant-noise") > 0 || list;
  if (looks && app.count("--out") > 0) throw core::ConfigError("mvrm refine: --list-suspects, --truth and --plant-noise write no plan; leave out --out, or ask for the plan alone");
  if (!o.truth.empty()) {
    print_detection(o, run::detection_run(profile, o.truth, o.counts), profile);
  } else if (app.count("--plant-noise") > 0) {
    print_detection(o, run::noise_run(profile, o.noise_kind, o.noise, o.run.seed, o.counts), profile);
  } else if (list) {
    print_suspects(o, profile);
  } else if (plan) {
    print_plan(o, profile);
  } else {
    throw core::ConfigError("mvrm refine: give --strategy and --out, --list-suspects N, --truth FILE or --plant-noise SHARE; see 'mvrm refine --help'");
  }
  return 0;
}

}  // namespace mvrm::app
