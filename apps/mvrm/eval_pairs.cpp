// SPDX-License-Identifier: Apache-2.0
// Evaluations of pairs: GenAI-Bench and VBench.
#include "eval_options.h"

#include <iostream>
#include <mvrm/core/error.h>
#include <optional>

namespace mvrm::app {

int eval_genai_bench(const Arguments& arguments) {
  CLI::App app("Pairwise accuracy after VideoScore's rule: the preferred video needs the higher reward; without preference the rewards must be\n"
               "closer than 0.5. Prediction ids are <number>_left and <number>_right.");
  PredictionSource source;
  ResultOptions shown;
  std::filesystem::path votes_file;
  std::optional<uint32_t> baseline;
  bool drop_unpaired = false;
  add_source_options(app, source);
  app.add_option("--votes", votes_file, "GenAI-Bench rows {idx, human_vote} or VideoScore-Bench rows {id, preference}; default: the file of --data");
  app.add_option("--random-baseline", baseline, "instead of predictions: Python's random numbers after random.seed(N), as published")->check(natural());
  app.add_flag("--drop-unpaired", drop_unpaired, "leave out pairs with a prediction for one side only, as VideoScore's script does");
  add_result_options(app, shown, "the accuracy (0..1)");
  app.footer("Example: mvrm eval genai-bench --predictions eval_genaibench_videoscore.json --votes votes.json");
  if (!parse(app, arguments)) return 0;

  if (votes_file.empty()) votes_file = source.model.data_file;
  if (votes_file.empty()) throw core::ConfigError("mvrm eval genai-bench: give --votes; see 'mvrm eval genai-bench --help'");
  if (baseline && has_predictions(source)) throw core::ConfigError("mvrm eval genai-bench: give either --random-baseline or predictions");
  const mvrm::eval::Votes votes = mvrm::eval::read_votes(votes_file);
  const mvrm::eval::PairTable pairs =
      baseline ? mvrm::eval::random_pairs(votes, *baseline)
               : mvrm::eval::match_pairs(read_source(source, arguments.front(), mvrm::eval::RepeatedIds::refuse), votes, name_of(source), drop_unpaired);
  mvrm::eval::PairwiseResult result = mvrm::eval::evaluate_pairs(pairs, shown.resamples, 42, bootstrap_threads(source));
  if (baseline) result.dimensions.clear();
  std::cout << (shown.json ? mvrm::eval::to_json_text(result) + "\n" : run::pairwise_table(result));
  return gate(shown, result.all.accuracy);
}

int eval_vbench(const Arguments& arguments) {
  CLI::App app("Pairwise accuracy per aspect of VBench: every ordered pair of generating models of a prompt, VideoScore's rule.\n"
               "Prediction ids are <aspect>_<number>_<model>.");
  PredictionSource source;
  ResultOptions shown;
  mvrm::eval::VbenchOptions options;
  std::filesystem::path preferences;
  add_source_options(app, source);
  app.add_option("--preferences", preferences, "rows {id, preference: {other model: 0, 0.5, 1 or null}}; default: the file of --data");
  app.add_flag("--videoscore-compatible", options.videoscore_compatible,
               "count as the published script does: a dimension is right only where the mean is right too");
  add_result_options(app, shown, "the accuracy (0..1)");
  app.footer("Example: mvrm eval vbench --predictions eval_vbench_videoscore.json --preferences vbench.jsonl");
  if (!parse(app, arguments)) return 0;

  if (preferences.empty()) preferences = source.model.data_file;
  if (preferences.empty()) throw core::ConfigError("mvrm eval vbench: give --preferences; see 'mvrm eval vbench --help'");
  const auto predictions = read_source(source, arguments.front(), mvrm::eval::RepeatedIds::allow);
  options.resamples = shown.resamples;
  options.threads = bootstrap_threads(source);
  const auto result = mvrm::eval::evaluate_vbench(predictions, name_of(source), preferences, options);
  std::cout << (shown.json ? mvrm::eval::to_json_text(result) + "\n" : run::vbench_table(result));
  return gate(shown, result.mean.accuracy);
}

}  // namespace mvrm::app
