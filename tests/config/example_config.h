// SPDX-License-Identifier: Apache-2.0
// A described struct with a field of each type, outside the namespaces of the program as a library user's would be.
#pragma once
#include <mvrm/config/fields.h>

namespace example {

struct OptimizerConfig {
  double lr = 1e-5;
  int64_t steps = 64;
  std::string kind = "cosine";
  double momentum = 0;
};

struct RunConfig {
  std::string name;
  bool flag = true;
  std::filesystem::path where;
  uint64_t seed = 42;
  std::optional<int64_t> limit;
  std::vector<double> betas{0.9, 0.999};
  std::vector<std::string> words;
  std::map<std::string, double> thresholds;
  mvrm::config::ScalarOrMap alpha{.scalar = 0.5};
  OptimizerConfig optimizer;
};

template <class Visitor>
void describe(Visitor& v, OptimizerConfig& c) {
  v("lr", c.lr, "learning rate", mvrm::config::positive);
  v("steps", c.steps, "number of steps", mvrm::config::at_least(1));
  v("kind", c.kind, "a | b", mvrm::config::one_of({"cosine", "linear"}));
  v("momentum", c.momentum, "momentum", mvrm::config::in_range(0, 1));
}

template <class Visitor>
void describe(Visitor& v, RunConfig& c) {
  v("name", c.name, "name of the run", mvrm::config::required);
  v("flag", c.flag, "a flag");
  v("where", c.where, "a path");
  v("seed", c.seed, "a seed");
  v("limit", c.limit, "an upper bound");
  v("betas", c.betas, "decay rates", mvrm::config::in_range(0, 1));
  v("words", c.words, "words");
  v("thresholds", c.thresholds, "a number per name");
  v("alpha", c.alpha, "percent", mvrm::config::at_least(0), mvrm::config::one_of({"auto", "map"}));
  v.group("optimizer", c.optimizer, "how parameters move");
}

}  // namespace example
