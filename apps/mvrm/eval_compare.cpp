// SPDX-License-Identifier: Apache-2.0
// Evaluations without a model: answers of language models, and two files of predictions side by side.
#include "eval_options.h"

#include <iostream>
#include <mvrm/run/process.h>

namespace mvrm::app {

int eval_verdicts(const Arguments& arguments) {
  CLI::App app("GenAI-Bench's own rule: the first [[...]] of a free-text answer against the human vote.");
  ResultOptions shown;
  std::filesystem::path answers;
  app.add_option("--answers", answers, "rows {idx, response, human_vote}")->required();
  app.add_option("--fail-under", shown.fail_under, "exit with status 8 when the accuracy (0..1) is lower")->always_capture_default(false);
  app.add_flag("--json", shown.json, "print JSON instead of a table");
  app.footer("Example: mvrm eval verdicts --answers video_generation/gpt4o.json");
  if (!parse(app, arguments)) return 0;
  const auto result = mvrm::eval::evaluate_verdicts(answers);
  std::cout << (shown.json ? mvrm::eval::to_json_text(result) + "\n" : run::verdicts_table(result));
  return gate(shown, result.all.accuracy());
}

int eval_compare(const Arguments& arguments) {
  CLI::App app("Paired bootstrap test of two files of predictions over the samples that both hold: B minus A, per dimension and for the mean.");
  mvrm::eval::CompareOptions options;
  std::filesystem::path a, b, votes_file;
  std::string workers = "auto";
  bool json = false;
  app.add_option("A", a, "predictions of one model")->required();
  app.add_option("B", b, "predictions of the other")->required();
  app.add_option("--votes", votes_file, "compare pairwise accuracy against these votes instead of Spearman correlations");
  app.add_option("--resamples", options.resamples, "bootstrap resamples")->check(CLI::Range(1, 10000000))->capture_default_str();
  app.add_option("--seed", options.seed, "seed of the resamples")->check(natural())->capture_default_str();
  app.add_option("--workers", workers, "threads: auto or a number")->capture_default_str();
  app.add_flag("--json", json, "print JSON instead of a table");
  app.footer("Example: mvrm eval compare runs/base/predictions.jsonl runs/ddp/predictions.jsonl");
  if (!parse(app, arguments)) return 0;
  options.threads = run::make_context({.workers = workers, .quiet = true}).threads;
  const auto rows_a = mvrm::eval::read_predictions(a, mvrm::eval::RepeatedIds::refuse), rows_b = mvrm::eval::read_predictions(b, mvrm::eval::RepeatedIds::refuse);
  mvrm::eval::CompareResult result;
  if (votes_file.empty()) {
    result = mvrm::eval::compare_spearman(rows_a, rows_b, options);
  } else {
    const auto votes = mvrm::eval::read_votes(votes_file);
    result = mvrm::eval::compare_pairs(mvrm::eval::match_pairs(rows_a, votes, a.string()), mvrm::eval::match_pairs(rows_b, votes, b.string()), options);
  }
  std::cout << (json ? mvrm::eval::to_json_text(result) + "\n" : run::compare_table(result));
  return 0;
}

}  // namespace mvrm::app
