// SPDX-License-Identifier: Apache-2.0
// Risks: the N x K tables by which cells can be ranked, the higher the more suspect, each with a name. Strategies, suspects and the
// comparison with known errors all take them from here. NaN where a sample has no label in a dimension.
#pragma once
#include <mvrm/influence/profile.h>
#include <map>
#include <string>
#include <vector>

namespace mvrm::refine {

// Tables made elsewhere, by risk name, in the profile's row order: float [N,K].
using RiskTables = std::map<std::string, core::Tensor>;

struct RiskEntry {
  const char* name;
  const char* help;
};
const std::vector<RiskEntry>& risks();

// float64 [N,K]. A table of that name in `tables` comes first. Throws ConfigError for an unknown name (lists them), DataError for a risk
// that this profile can't give, saying what to run.
core::Tensor risk_named(const std::string& name, const influence::Profile& profile, const RiskTables& tables = {});
// The names that risk_named() can give for this profile, in the order of risks().
std::vector<std::string> available_risks(const influence::Profile& profile, const RiskTables& tables = {});

// (S - mean) / population standard deviation per dimension over finite cells, float64; 0 where the deviation is 0; NaN stays NaN.
core::Tensor z_scores(const core::Tensor& risk_NK);

}  // namespace mvrm::refine
