// SPDX-License-Identifier: Apache-2.0
// The story of `mvrm experiment`: which suites, what they need, the steps, the tables.
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/experiment/suite.h>

#include "study_steps.h"

namespace mvrm::experiment {

namespace {

std::vector<const Suite*> chosen_suites(const ExperimentConfig& config, const std::string& name, const core::Context& context) {
  std::vector<const Suite*> chosen;
  std::string names;
  for (const Suite& suite : suite_table()) {
    names += std::string(suite.name) + ", ";
    if (name != "all" && name != suite.name) continue;
    const std::string lacking = suite.lacking(config);
    if (lacking.empty()) {
      chosen.push_back(&suite);
    } else if (name == "all") {
      context.log.warn(std::string("suite ") + suite.name + " is left out: it needs " + lacking);
    } else {
      throw core::ConfigError("mvrm experiment " + name + " needs " + lacking);
    }
  }
  if (chosen.empty()) throw core::ConfigError("mvrm experiment: unknown suite '" + name + "'; known: " + names + "all");
  return chosen;
}

}  // namespace

std::vector<SuiteResult> run_experiment(const ExperimentConfig& config, const ExperimentOptions& options, dist::Communicator& comm,
                                        const core::Context& context) {
  if (comm.size() > 1 && options.jobs > 1) throw core::ConfigError("mvrm experiment: --jobs is for one process; several ranks work on one run together");
  const auto chosen = chosen_suites(config, options.suite, context);
  Study study(config, options.out_dir, comm.size() > 1 ? &comm : nullptr);
  StudySteps steps(study);
  std::vector<Needs> needs;
  for (const Suite* suite : chosen) {
    needs.push_back(suite->needs(config));
    steps.add(needs.back());
  }
  context.log.info(std::to_string(chosen.size()) + " suites, " + std::to_string(config.experiment.seeds) + " seeds: " + std::to_string(steps.steps().size()) +
                   " steps in " + options.out_dir.string());
  steps.steps().run(options.jobs, context);

  std::vector<SuiteResult> results;
  for (size_t i = 0; i < chosen.size(); ++i) {
    SuiteResult result{.suite = chosen[i]->name, .title = chosen[i]->title, .published = chosen[i]->published, .tables = {}};
    chosen[i]->tabulate(study, needs[i], result, context);
    if (comm.is_main()) {
      core::write_file_atomic(options.out_dir / (result.suite + ".json"), to_json(result, config.experiment.seeds).dump(2) + "\n");
      report::write_document(options.out_dir.string(), result.suite, to_document({result}, config));
    }
    results.push_back(std::move(result));
  }
  if (options.suite == "all" && comm.is_main()) report::write_document(options.out_dir.string(), "report", to_document(results, config));
  comm.barrier();
  return results;
}

}  // namespace mvrm::experiment
