// SPDX-License-Identifier: Apache-2.0
#include "eval_options.h"

#include <iostream>
#include <mvrm/core/error.h>
#include <optional>
#include <unordered_set>

namespace mvrm::app {

namespace {

struct SplitOptions {
  std::optional<uint64_t> seed;
  double fraction = 0.4;
  std::filesystem::path file, out;
};

void add_split_options(CLI::App& app, SplitOptions& options) {
  app.add_option("--split-seed", options.seed, "report a random validation part and the rest apart, chosen by this seed and the ids")->check(natural());
  app.add_option("--split-fraction", options.fraction, "share of the validation part")->check(CLI::Range(0.0, 1.0))->capture_default_str();
  app.add_option("--split-file", options.file, "take the parts from this file of {id, split} rows instead");
  app.add_option("--split-out", options.out, "write the parts of --split-seed to this file");
}

// Not every row of a result file is another sample: VideoScore's scripts add rows when they run again, and count them all.
void warn_of_repeated_ids(const mvrm::eval::Predictions& predictions) {
  const std::unordered_set<std::string> different(predictions.ids.begin(), predictions.ids.end());
  if (different.size() == predictions.ids.size()) return;
  std::cerr << "mvrm: warning: " << predictions.ids.size() << " rows hold " << different.size() << " ids; every row counts, as in VideoScore's scripts\n";
}

run::SplitEvaluation evaluate_split(const mvrm::eval::Predictions& predictions, const SplitOptions& options, int64_t resamples, int64_t threads) {
  const mvrm::eval::Split split = options.seed ? mvrm::eval::split_by_id(predictions.ids, *options.seed, options.fraction) : mvrm::eval::read_split(options.file);
  mvrm::eval::check_disjoint(split.validation, split.test, options.file.string());
  if (!options.out.empty()) mvrm::eval::write_split(options.out, split);
  const auto evaluate = [&](const mvrm::eval::Predictions& rows) { return mvrm::eval::evaluate_spearman(rows, resamples, 42, threads); };
  return {evaluate(predictions), evaluate(mvrm::eval::rows_with_ids(predictions, split.validation)),
          evaluate(mvrm::eval::rows_with_ids(predictions, split.test))};
}

}  // namespace

int eval_spearman(const Arguments& arguments) {
  CLI::App app("Spearman's rank correlation per dimension with bootstrap intervals, Pearson's and Kendall's beside it.");
  PredictionSource source;
  ResultOptions shown;
  SplitOptions split;
  std::filesystem::path record;
  add_source_options(app, source);
  add_result_options(app, shown, "the mean (-1..1; with a split, that of the test part)");
  add_split_options(app, split);
  app.add_option("--spearman-corr", record, "add the result to this file, as VideoScore's script does");
  app.footer("Example: mvrm eval spearman --model runs/ddp/model --data test.jsonl --out predictions.jsonl");
  if (!parse(app, arguments)) return 0;
  if (split.seed && !split.file.empty()) throw core::ConfigError("mvrm " + arguments.front() + ": give either --split-seed or --split-file");
  if (!split.out.empty() && !split.seed) throw core::ConfigError("mvrm " + arguments.front() + ": --split-out needs --split-seed");

  const auto predictions = read_source(source, arguments.front(), mvrm::eval::RepeatedIds::as_videoscore);
  warn_of_repeated_ids(predictions);
  const int64_t threads = bootstrap_threads(source);
  if (split.seed || !split.file.empty()) {
    const auto parts = evaluate_split(predictions, split, shown.resamples, threads);
    if (!record.empty()) run::append_spearman_record(record, name_of(source), parts.all);
    std::cout << (shown.json ? run::to_json_text(parts) + "\n" : run::spearman_table(parts));
    return gate(shown, parts.test.mean);
  }
  const auto result = mvrm::eval::evaluate_spearman(predictions, shown.resamples, 42, threads);
  if (!record.empty()) run::append_spearman_record(record, name_of(source), result);
  std::cout << (shown.json ? mvrm::eval::to_json_text(result) + "\n" : run::spearman_table(result));
  return gate(shown, result.mean);
}

}  // namespace mvrm::app
