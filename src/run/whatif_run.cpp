// SPDX-License-Identifier: Apache-2.0
// The story of `mvrm whatif`. N training rows, T test rows, K dimensions.
#include <mvrm/run/whatif_run.h>

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/eval/rank_correlation.h>
#include <mvrm/influence/matrix.h>
#include <mvrm/influence/whatif.h>
#include <mvrm/refine/corrections.h>
#include <mvrm/run/process.h>
#include <sstream>

namespace mvrm::run {

namespace {

influence::Profile read_with_features(const std::filesystem::path& directory) {
  influence::Profile profile = influence::read_profile(directory);
  if (!profile.feature_ND.defined()) throw core::DataError(directory.string() + ": keeps no features; make it with 'mvrm profile --features f32'");
  auto [feature_ND, label_NK] = influence::fit_table(profile);
  profile.feature_ND = feature_ND;
  profile.label_NK = label_NK;
  return profile;
}

// `place`: the option, or file:line.
int64_t index_of(const std::vector<std::string>& names, const std::string& name, const std::string& place, const std::string& what) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw core::ConfigError(place + ": " + what + " '" + name + "' is not in the profile");
  return found - names.begin();
}

struct Wish {
  std::string text, place;
};

std::vector<Wish> wishes_of(const std::vector<std::string>& items, const std::string& option) {
  std::vector<Wish> all;
  for (const auto& item : items) {
    if (!item.starts_with("@")) {
      all.push_back({.text = item, .place = option});
      continue;
    }
    const std::string file = item.substr(1);
    std::istringstream lines(core::read_file(file));
    int64_t number = 0;
    for (std::string line; std::getline(lines, line);) {
      ++number;
      if (!line.empty()) all.push_back({.text = line, .place = file + ":" + std::to_string(number)});
    }
  }
  return all;
}

// "ID" (all dimensions) or "ID:DIMENSION"; an id may hold colons itself, so the whole text is tried first.
void add_cells(const influence::Profile& profile, const std::string& text, const std::string& place, std::optional<double> label,
               std::vector<influence::LabelChange>& changes) {
  if (std::find(profile.ids.begin(), profile.ids.end(), text) != profile.ids.end()) {
    const int64_t row = index_of(profile.ids, text, place, "sample");
    for (size_t k = 0; k < profile.dimensions.size(); ++k) changes.push_back({.row = row, .dimension = static_cast<int64_t>(k), .label = label});
    return;
  }
  const auto colon = text.rfind(':');
  const int64_t row = index_of(profile.ids, text.substr(0, colon), place, "sample");
  changes.push_back({.row = row, .dimension = index_of(profile.dimensions, text.substr(colon + 1), place, "dimension"), .label = label});
}

std::vector<influence::LabelChange> changes_of(const WhatIfRunOptions& options, const influence::Profile& profile) {
  std::vector<influence::LabelChange> changes;
  for (const auto& [item, place] : wishes_of(options.drop, "--drop")) add_cells(profile, item, place, std::nullopt, changes);
  const refine::LabelScale scale = refine::label_scale(profile.label_NK);
  for (const auto& [item, place] : wishes_of(options.set, "--set")) {
    const auto equals = item.rfind('=');
    size_t used = 0;
    double label = 0;
    try {
      if (equals != std::string::npos) label = std::stod(item.substr(equals + 1), &used);
    } catch (const std::exception&) {
    }
    if (used == 0 || equals + 1 + used != item.size() || !std::isfinite(label)) throw core::ConfigError(place + ": '" + item + "' is not ID:DIMENSION=LABEL");
    if (label < scale.low || label > scale.high) {
      std::ostringstream why;
      why << place << ": '" << item << "': the labels' scale is " << scale.low << " to " << scale.high;
      throw core::ConfigError(why.str());
    }
    add_cells(profile, item.substr(0, equals), place, label, changes);
  }
  return changes;
}

std::vector<double> spearman(const at::Tensor& reward_TK, const at::Tensor& label_TK) {
  std::vector<double> result;
  for (int64_t k = 0; k < reward_TK.size(1); ++k) {
    const at::Tensor rows = (label_TK.select(1, k).isfinite() & reward_TK.select(1, k).isfinite()).nonzero().flatten();
    const auto column = [&](const at::Tensor& table) {
      const at::Tensor values = table.select(1, k).index_select(0, rows).to(at::kDouble).contiguous();
      return std::vector<double>(values.const_data_ptr<double>(), values.const_data_ptr<double>() + values.numel());
    };
    result.push_back(rows.numel() > 1 ? eval::spearman(column(reward_TK), column(label_TK)).r : std::numeric_limits<double>::quiet_NaN());
  }
  return result;
}

void explain(WhatIfResult& result, const influence::RidgeHead& head, const WhatIfRunOptions& options) {
  result.explained_row = index_of(result.test.ids, options.explain, "--explain", "sample");
  result.by = options.by;
  const at::Tensor feature_1D = result.test.feature_ND.narrow(0, result.explained_row, 1);
  if (options.by == "head") {
    const at::Tensor residual_1K = result.test.residual_NK.narrow(0, result.explained_row, 1);
    const at::Tensor effect_NK = influence::head_influence(result.train.residual_NK, result.train.feature_ND, residual_1K, feature_1D).select(1, 0);
    for (int64_t k = 0; k < effect_NK.size(1); ++k) result.effect_KN.push_back(effect_NK.select(1, k));
  } else {
    for (const at::Tensor& effect_1N : influence::leave_one_out_effects(head, result.train.feature_ND, result.train.label_NK, feature_1D))
      result.effect_KN.push_back(effect_1N[0]);
  }
  for (const at::Tensor& effect_N : result.effect_KN) {
    // A proponent holds the reward up: without its label the reward falls. By gradients it is the one that pulls the same way.
    const auto ranking = influence::rank_effects(options.by == "head" ? effect_N : -effect_N, options.top);
    result.explanation_K.push_back({.proponents = ranking.proponents, .opponents = ranking.opponents});
  }
}

}  // namespace

WhatIfResult whatif_run(const WhatIfRunOptions& options, const core::Context& context) {
  use_all_cores();
  WhatIfResult result{.train = read_with_features(options.profile_dir), .test = {}};
  result.test = options.test_dir.empty() ? result.train : read_with_features(options.test_dir);
  if (result.test.dimensions != result.train.dimensions || result.test.feature_ND.size(1) != result.train.feature_ND.size(1)) {
    throw core::DataError(options.test_dir.string() + ": has other dimensions or features than " + options.profile_dir.string());
  }
  if (result.test.model_hash != result.train.model_hash) {
    throw core::DataError(options.test_dir.string() + ": was made by another model than " + options.profile_dir.string() + ", so its features don't fit");
  }
  const auto changes = changes_of(options, result.train);
  const influence::RidgeHead head = influence::kept_ridge(options.profile_dir, result.train.feature_ND, result.train.label_NK, {.lambda = options.lambda}, context);
  auto [before_TK, after_TK] = influence::what_if(head, result.train.feature_ND, result.train.label_NK, changes, result.test.feature_ND);
  result.before_TK = before_TK;
  result.after_TK = after_TK;
  result.changed = static_cast<int64_t>(changes.size());
  for (int64_t k = 0; k < head.dimensions; ++k) {
    const auto* group = head.group_of(k);
    result.lambda_K.push_back(group != nullptr ? group->lambda : std::numeric_limits<double>::quiet_NaN());
  }
  result.spearman_before_K = spearman(before_TK, result.test.label_NK);
  result.spearman_after_K = spearman(after_TK, result.test.label_NK);
  if (!options.explain.empty()) explain(result, head, options);
  return result;
}

}  // namespace mvrm::run
