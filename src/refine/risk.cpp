// SPDX-License-Identifier: Apache-2.0
// The whole family of risks on one screen. N samples, K dimensions.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/influence/estimator.h>
#include <mvrm/refine/automatic_alpha.h>
#include <mvrm/refine/held_out.h>
#include <mvrm/refine/risk.h>
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
at::Tensor held_out(const Profile& profile) { return robust_residual(HeldOutHead(profile).residual(profile.label_NK)).abs(); }
at::Tensor cook(const Profile& profile) { return influence::estimate("ridge_cook", {.profile = &profile}); }
at::Tensor row_sum(const Profile& profile) { return influence::estimate("row_sum", {.profile = &profile}); }
at::Tensor uncertainty(const Profile& profile) { return influence::estimate("vbll", {.profile = &profile}); }

bool always(const Profile&) { return true; }
bool has_features(const Profile& profile) { return profile.feature_ND.defined(); }
bool has_matrix(const Profile& profile) { return profile.kernel_NKK.defined(); }

struct Risk {
  const char* name;
  const char* help;
  at::Tensor (*compute)(const Profile&);
  bool (*possible)(const Profile&);
};
constexpr Risk kRisks[] = {
    {"self_influence", "what the profile ranks by: squared residual times squared feature norm, or its --estimator", self_influence, always},
    {"loss", "squared residual", squared_residual, always},
    {"tracin", "scalar self-influence: the sum over dimensions", scalar, always},
    {"tracin_zsum", "scalar self-influence, dimensions standardised before they are summed", scalar_of_z, always},
    {"held_out", "size of the residual, of a head that never saw the label where the profile keeps features", held_out, always},
    {"cook", "Cook's distance in the refitted head (needs features)", cook, has_features},
    {"row_sum", "row sums of the influence matrix (needs --space)", row_sum, has_matrix},
    {"uncertainty", "predictive variance of a Bayesian head (needs features)", uncertainty, has_features},
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
  const auto table = tables.find(name);
  const at::Tensor risk_NK = table != tables.end() ? table->second.to(at::kDouble) : risk.compute(profile);
  core::check_shape(risk_NK, {profile.label_NK.size(0), profile.label_NK.size(1)}, name);
  return risk_NK.masked_fill(profile.label_NK.isnan(), kNan).contiguous();
}

std::vector<std::string> available_risks(const Profile& profile, const RiskTables& tables) {
  std::vector<std::string> names;
  for (const auto& risk : kRisks) {
    if (risk.possible(profile) || tables.contains(risk.name)) names.emplace_back(risk.name);
  }
  return names;
}

}  // namespace mvrm::refine
