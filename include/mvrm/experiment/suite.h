// SPDX-License-Identifier: Apache-2.0
// The suites of `mvrm experiment`: each a table or figure of the paper as a list of runs, and what came out of them.
#pragma once
#include <mvrm/core/context.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/experiment/experiment_config.h>
#include <mvrm/experiment/paired.h>
#include <mvrm/report/document.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace mvrm::experiment {

// Against the baseline, in the mean over dimensions. `by_seed`: Student's t over the paired seeds; low, high, p_value: the bootstrap over
// test clips with all seeds. Claimed only where both intervals leave 0 out.
struct Gain {
  Summary by_seed;
  double low = 0, high = 0, p_value = 1;
  std::string verdict;
};
struct ResultRow {
  std::string method;
  std::vector<Summary> values;      // one a column, over seeds
  std::optional<Gain> gain = {};
};
struct ResultTable {
  std::string title;
  std::vector<std::string> columns;
  std::vector<ResultRow> rows;
  double scale = 1;                 // of printed numbers
  int digits = 3;
};
struct SuiteResult {
  std::string suite, title;
  std::string published;            // which table or figure of the paper, and its numbers where they are known
  std::vector<ResultTable> tables;  // the first is the suite's own
  std::vector<report::Figure> figures = {};
  std::vector<std::string> notes = {};
};

struct SuiteEntry {
  std::string name, title;
};
// In the order of `all`.
std::vector<SuiteEntry> suites();

struct ExperimentOptions {
  std::string suite = "all";        // a name of suites(), or all
  std::filesystem::path out_dir = "experiment_out";
  int64_t jobs = 1;                 // runs at a time; with several ranks 1
};
// Trains what is missing below out_dir, then writes SUITE.json, SUITE.md and SUITE.html for each suite, and for `all` report.md and
// report.html. The same configuration gives the same bytes, however often it was interrupted and whatever the number of jobs. Suites of
// `all` that lack data are left out with a line that says what to give; asked for by name they are a ConfigError.
std::vector<SuiteResult> run_experiment(const ExperimentConfig& config, const ExperimentOptions& options, dist::Communicator& comm,
                                        const core::Context& context);

// cli.md: {"suite", "seeds", "rows": [{"method", "values": {column: {"mean", "std", "low", "high"}}, "gain": …}]}; null for NaN. Tables
// behind the first are in "tables".
nlohmann::ordered_json to_json(const SuiteResult& result, int64_t seeds);
report::Document to_document(const std::vector<SuiteResult>& results, const ExperimentConfig& config);

}  // namespace mvrm::experiment
