// SPDX-License-Identifier: Apache-2.0
// The evaluations by name.
#include "eval_options.h"

#include <iostream>
#include <mvrm/core/error.h>

namespace mvrm::app {

namespace {

struct Evaluation {
  const char* name;
  const char* help;
  int (*run)(const Arguments&);
};
constexpr Evaluation kEvaluations[] = {
    {"spearman", "rank correlation of rewards with labels, per dimension", eval_spearman},
    {"videofeedback", "the same", eval_spearman},
    {"genai-bench", "pairwise accuracy against human votes, VideoScore's rule", eval_genai_bench},
    {"vbench", "pairwise accuracy per aspect of VBench", eval_vbench},
    {"verdicts", "GenAI-Bench's own four-way rule over free-text answers", eval_verdicts},
    {"compare", "is one model better than another on the same samples?", eval_compare},
};

}  // namespace

int eval(const Arguments& arguments) {
  const std::string what = arguments.size() > 1 ? arguments[1] : "--help";
  if (what == "--help" || what == "-h") {
    std::cout << "usage: mvrm eval WHAT [OPTIONS]\n\n";
    for (const auto& evaluation : kEvaluations) {
      std::cout << "  " << evaluation.name << std::string(15 - std::string(evaluation.name).size(), ' ') << evaluation.help << "\n";
    }
    std::cout << "\nExample: mvrm eval spearman --predictions predictions.jsonl\n";
    return 0;
  }
  std::string names;
  for (const auto& evaluation : kEvaluations) {
    names += (names.empty() ? "" : ", ") + std::string(evaluation.name);
    if (what != evaluation.name) continue;
    Arguments rest(arguments.begin() + 1, arguments.end());
    rest.front() = "eval " + what;
    return evaluation.run(rest);
  }
  throw core::ConfigError("mvrm eval: unknown evaluation '" + what + "'; known: " + names);
}

}  // namespace mvrm::app
