// SPDX-License-Identifier: Apache-2.0
// The experiments of `mvrm refine` on kept features: alpha by the ridge proxy, planted noise. V validation samples, K dimensions.
#include <ATen/ATen.h>
#include <cmath>
#include <limits>
#include <mvrm/core/error.h>
#include <mvrm/eval/rank_correlation.h>
#include <mvrm/influence/whatif.h>
#include <mvrm/report/table.h>
#include <mvrm/run/process.h>
#include <mvrm/run/refine_run.h>

namespace mvrm::run {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<double> spearman(const at::Tensor& reward_VK, const at::Tensor& label_VK) {
  std::vector<double> result;
  for (int64_t k = 0; k < reward_VK.size(1); ++k) {
    const at::Tensor there_V = label_VK.select(1, k).isfinite().logical_and(reward_VK.select(1, k).isfinite());
    const auto values = [&](const at::Tensor& table) {
      const at::Tensor column = table.select(1, k).masked_select(there_V).to(at::kDouble).contiguous();
      return std::vector<double>(column.const_data_ptr<double>(), column.const_data_ptr<double>() + column.numel());
    };
    result.push_back(there_V.sum().item<int64_t>() > 1 ? eval::spearman(values(reward_VK), values(label_VK)).r : kNan);
  }
  return result;
}

nlohmann::ordered_json number(double value) { return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(); }

}  // namespace

AlphaSearchOutcome alpha_search_run(const RefineRunOptions& options, const influence::Profile& profile, const std::filesystem::path& validation_dir,
                                    const std::vector<double>& candidates, const core::Context& context) {
  use_all_cores();
  RefineSection section = options.refine;
  if (section.strategy == "ddp+ddr") section.strategy = "ddp";
  if (section.strategy == "ddr" || section.strategy == "row_sum_ddr" || section.strategy == "none" || section.strategy == "correction") {
    throw core::ConfigError("--alpha search: strategy " + section.strategy + " has no alpha");
  }
  section.alpha = {.scalar = candidates.empty() ? 0.5 : candidates.front()};
  const refine::RefineConfig config = refine_config(section, profile.dimensions, options.seed);
  const influence::Profile validation = influence::read_profile(validation_dir);
  if (validation.dimensions != profile.dimensions || validation.model_hash != profile.model_hash) {
    throw core::DataError(validation_dir.string() + ": was made with another model than " + options.profile_dir.string() + "; profile the validation file with the same one");
  }
  const auto [feature_ND, label_NK] = influence::fit_table(profile);
  const auto [validation_VD, validation_label_VK] = influence::fit_table(validation);
  const auto metric = refine::ridge_proxy(profile, influence::kept_ridge(options.profile_dir, feature_ND, label_NK, {}, context), validation_VD,
                                          [label_VK = validation_label_VK](const at::Tensor& reward_VK) { return spearman(reward_VK, label_VK); });
  return {.choice = refine::choose_alpha(profile, config, candidates, metric), .all_labels_K = metric(refine::keep_all(profile.ids, profile.dimensions))};
}

std::string alpha_search_table(const AlphaSearchOutcome& outcome, const std::vector<std::string>& dimensions) {
  report::Table table{.header = {"alpha %"}, .rows = {{"0 (all labels)"}}};
  table.header.insert(table.header.end(), dimensions.begin(), dimensions.end());
  for (const double value : outcome.all_labels_K) table.rows.back().push_back(report::fixed(value, 4));
  for (size_t c = 0; c < outcome.choice.candidates.size(); ++c) {
    table.rows.push_back({report::fixed(outcome.choice.candidates[c], 2)});
    for (size_t k = 0; k < dimensions.size(); ++k) {
      const double value = outcome.choice.metric_CK[static_cast<int64_t>(c)][static_cast<int64_t>(k)].item<double>();
      table.rows.back().push_back(report::fixed(value, 4) + (outcome.choice.percent_K[k] == outcome.choice.candidates[c] ? " *" : "  "));
    }
  }
  return "Spearman on the validation profile of the head refitted without the labels that each alpha takes (* = chosen)\n" + report::to_text(table);
}

nlohmann::ordered_json alpha_search_json(const AlphaSearchOutcome& outcome, const std::vector<std::string>& dimensions) {
  nlohmann::ordered_json document{{"candidates", outcome.choice.candidates}, {"dimensions", nlohmann::ordered_json::object()}};
  for (size_t k = 0; k < dimensions.size(); ++k) {
    nlohmann::ordered_json values = nlohmann::ordered_json::array();
    for (int64_t c = 0; c < outcome.choice.metric_CK.size(0); ++c) values.push_back(number(outcome.choice.metric_CK[c][static_cast<int64_t>(k)].item<double>()));
    document["dimensions"][dimensions[k]] = {{"alpha", outcome.choice.percent_K[k]}, {"all_labels", number(outcome.all_labels_K[k])}, {"spearman", values}};
  }
  return document;
}

nlohmann::ordered_json noise_run(const influence::Profile& profile, const std::string& kind, double share, uint64_t seed, const std::vector<int64_t>& counts) {
  use_all_cores();
  const refine::NoiseConfig config{.kind = refine::noise_kind_from_name(kind), .share = share, .seed = seed, .levels = refine::levels_of(profile.label_NK)};
  const auto experiment = refine::noise_experiment(profile, config, counts);
  nlohmann::ordered_json document{{"noise", {{"kind", kind}, {"share", share}, {"seed", seed}}}, {"residual_deviation", nlohmann::ordered_json::object()},
                                  {"methods", nlohmann::ordered_json::object()}};
  for (size_t k = 0; k < profile.dimensions.size(); ++k) document["residual_deviation"][profile.dimensions[k]] = number(experiment.residual_deviation_K[k]);
  for (const auto& [name, detection] : experiment.detection) document["methods"][name] = refine::to_json(detection, profile.dimensions);
  return document;
}

}  // namespace mvrm::run
