// SPDX-License-Identifier: Apache-2.0
// The whole family of risks on one screen. N samples, K dimensions.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/influence/estimator.h>
#include <mvrm/refine/automatic_alpha.h>
#include <mvrm/refine/risk.h>
#include <cmath>
#include <limits>

namespace mvrm::refine {

namespace {

using influence::Profile;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// One number a sample, for each of its labels.
at::Tensor for_every_label(const at::Tensor& risk_N, const Profile& profile) {
  return risk_N.unsqueeze(1).expand_as(profile.label_NK).masked_fill(profile.label_NK.isnan(), kNan).contiguous();
}

at::Tensor self_influence(const Profile& profile) { return profile.self_influence_NK.to(at::kDouble); }
at::Tensor squared_residual(const Profile& profile) { return profile.residual_NK.to(at::kDouble).square(); }
at::Tensor scalar(const Profile& profile) { return for_every_label(influence::tracin_scalar(profile.self_influence_NK), profile); }
at::Tensor scalar_of_z(const Profile& profile) {
  return for_every_label(influence::tracin_scalar(z_scores(profile.self_influence_NK)), profile);
}
at::Tensor held_out(const Profile& profile) { return robust_residual(held_out_residual(profile)).abs(); }

struct Risk {
  const char* name;
  const char* help;
  at::Tensor (*compute)(const Profile&);  // nullptr: only a table gives it
  const char* missing;                    // what to do when there is none
};
constexpr Risk kRisks[] = {
    {"self_influence", "squared residual times squared feature norm", self_influence, ""},
    {"loss", "squared residual", squared_residual, ""},
    {"tracin", "scalar self-influence: the sum over dimensions", scalar, ""},
    {"tracin_zsum", "scalar self-influence, dimensions standardised before they are summed", scalar_of_z, ""},
    {"held_out", "size of the residual, of a head that never saw the label where features are kept", held_out, ""},
    {"row_sum", "row sums of the influence matrix in the last two layers", nullptr, "run 'mvrm profile --estimator row_sum'"},
    {"uncertainty", "predictive variance of a Bayesian head", nullptr, "run 'mvrm profile --estimator vbll'"},
};

const Risk& find_risk(const std::string& name) {
  std::string names;
  for (const auto& risk : kRisks) {
    if (name == risk.name) return risk;
    names += (names.empty() ? "" : ", ") + std::string(risk.name);
  }
  throw core::ConfigError("unknown risk '" + name + "'; known: " + names);
}

}  // namespace

const std::vector<RiskEntry>& risks() {
  static const std::vector<RiskEntry> entries = [] {
    std::vector<RiskEntry> list;
    for (const auto& risk : kRisks) list.push_back({risk.name, risk.help});
    return list;
  }();
  return entries;
}

at::Tensor risk_named(const std::string& name, const Profile& profile, const RiskTables& tables) {
  const Risk& risk = find_risk(name);
  at::Tensor risk_NK;
  if (const auto table = tables.find(name); table != tables.end()) {
    risk_NK = table->second.to(at::kDouble);
  } else if (risk.compute != nullptr) {
    risk_NK = risk.compute(profile);
  } else {
    throw core::ConfigError("the profile holds no '" + name + "'; " + risk.missing);
  }
  core::check_shape(risk_NK, {profile.label_NK.size(0), profile.label_NK.size(1)}, name);
  return risk_NK.masked_fill(profile.label_NK.isnan(), kNan).contiguous();
}

std::vector<std::string> available_risks(const Profile&, const RiskTables& tables) {
  std::vector<std::string> names;
  for (const auto& risk : kRisks) {
    if (risk.compute != nullptr || tables.contains(risk.name)) names.emplace_back(risk.name);
  }
  return names;
}

at::Tensor held_out_residual(const Profile& profile) { return profile.residual_NK.to(at::kDouble); }

}  // namespace mvrm::refine
