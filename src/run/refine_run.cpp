// SPDX-License-Identifier: Apache-2.0
// The story of `mvrm refine`: profile in; plan, ranked suspects, or a comparison with known errors out.
#include <ATen/ATen.h>
#include <cmath>
#include <limits>
#include <mvrm/core/error.h>
#include <mvrm/refine/detection.h>
#include <mvrm/refine/risk.h>
#include <mvrm/report/table.h>
#include <mvrm/run/refine_run.h>

namespace mvrm::run {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// "1: 12, 2: 3"
std::string histogram_text(const refine::LabelHistogram& histogram) {
  std::string text;
  for (const auto& [label, count] : histogram) text += (text.empty() ? "" : ", ") + label + ": " + std::to_string(count);
  return text.empty() ? "-" : text;
}

std::string weights_text(const refine::PlanSummary& summary) {
  std::string text = "weights of kept samples: ";
  for (size_t q = 0; q < std::size(refine::kWeightQuantiles); ++q) {
    text += (q > 0 ? ", " : "") + report::fixed(100 * refine::kWeightQuantiles[q], 0) + " % " + report::fixed(summary.weight_quantiles[q], 3);
  }
  return text + "; effective share of the labels " + report::fixed(summary.effective_share, 3) + "\n";
}

double number_of(const nlohmann::ordered_json& value) { return value.is_number() ? value.get<double>() : kNan; }

// A data file given by mistake stays what it is.
void require_plan_or_nothing(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return;
  try {
    refine::read_plan(file);
  } catch (const core::Error&) {
    throw core::ConfigError(file.string() + ": is there already and is no plan; choose another file");
  }
}

}  // namespace

refine::RefineConfig refine_config(const RefineSection& section, const std::vector<std::string>& dimensions, uint64_t seed) {
  refine::RefineConfig config{.strategy = section.strategy, .automatic_alpha = section.alpha.word == "auto", .false_discovery_rate = section.fdr,
                              .tau = section.tau, .budget = section.budget, .seed = seed};
  if (!config.automatic_alpha) config.alpha_percent_K = alpha_percent(section.alpha, dimensions);
  if (section.strategy == "correction") {
    if (section.corrections.empty()) throw core::ConfigError("refine.corrections: the strategy correction needs a corrections file");
    config.corrections = refine::read_corrections(section.corrections);
  }
  return config;
}

refine::PlanSummary refine_run(const RefineRunOptions& options, const influence::Profile& profile) {
  require_plan_or_nothing(options.plan_file);
  auto [plan, summary] = refine::refine(profile, refine_config(options.refine, profile.dimensions, options.seed));
  refine::write_plan(options.plan_file, plan);
  return summary;
}

std::string summary_table(const refine::PlanSummary& summary, const std::vector<std::string>& dimensions) {
  report::Table table{.header = {"dimension", "alpha %", "selected labels", "lowest selected risk", "cumulative union", "mean weight", "labels selected"},
                      .rows = {}};
  for (size_t k = 0; k < dimensions.size(); ++k) {
    const double alpha = summary.alpha_percent_K.empty() ? kNan : summary.alpha_percent_K[k];
    table.rows.push_back({dimensions[k], report::fixed(alpha, 3), std::to_string(summary.count_K[k]), report::fixed(summary.threshold_K[k], 4),
                          std::to_string(summary.cumulative_union[k]), report::fixed(summary.mean_weight_K[k], 4),
                          histogram_text(summary.label_histogram_K[k])});
  }
  std::string text = "strategy " + summary.strategy + ": " + std::to_string(summary.kept) + " samples kept, " + std::to_string(summary.removed) +
                     " removed; " + std::to_string(summary.removed_labels) + " labels without weight, " + std::to_string(summary.changed_labels) +
                     " changed\n" + report::to_text(table);
  if (summary.removed_labels > 0) text += "labels without weight: " + histogram_text(summary.label_histogram_removed) + "\n";
  for (const auto& name : summary.not_estimated) text += "'" + name + "' has too few labels for the profile's estimator: all of them are kept as they are\n";
  return text + weights_text(summary);
}

SuspectsOutcome suspects_run(const influence::Profile& profile, const std::string& risk, const refine::SuspectOptions& options, bool calibrate,
                             uint64_t seed) {
  const at::Tensor risk_NK = refine::risk_named(risk, profile);
  if (!calibrate) return {.suspects = refine::list_suspects(profile, risk_NK, options), .calibration = {}};
  SuspectsOutcome outcome{.suspects = {}, .calibration = refine::calibrate_noise(profile, {.seed = seed})};
  outcome.suspects = refine::list_suspects(profile, risk_NK, options, outcome.calibration->probability_NK);
  for (auto& suspect : outcome.suspects) {
    suspect.probability = outcome.calibration->probability_NK[suspect.row][suspect.dimension].item<double>();
    suspect.suggestion = outcome.calibration->suggestion_NK[suspect.row][suspect.dimension].item<double>();
  }
  return outcome;
}

std::string suspects_table(const std::vector<refine::Suspect>& suspects, const influence::Profile& profile) {
  const bool calibrated = !suspects.empty() && !std::isnan(suspects.front().probability);
  report::Table table{.header = {"id", "dimension", "label", "prediction", "residual", "risk", "z", "percentile"}, .rows = {}};
  if (calibrated) table.header.insert(table.header.end(), {"P(wrong)", "suggested"});
  table.header.push_back("prompt");
  for (const auto& suspect : suspects) {
    const auto n = static_cast<size_t>(suspect.row), k = static_cast<size_t>(suspect.dimension);
    const auto cell = [&](const at::Tensor& table_NK) { return table_NK[suspect.row][suspect.dimension].item<double>(); };
    std::vector<std::string> row{profile.ids[n], profile.dimensions[k], report::fixed(cell(profile.label_NK), 1),
                                 report::fixed(cell(profile.prediction_NK), 3), report::fixed(cell(profile.residual_NK), 3),
                                 report::fixed(suspect.risk, 3), report::fixed(suspect.z, 2), report::fixed(suspect.percentile, 2)};
    if (calibrated) row.insert(row.end(), {report::fixed(suspect.probability, 3), report::fixed(suspect.suggestion, 0)});
    row.push_back(n < profile.prompts.size() ? profile.prompts[n] : "");
    table.rows.push_back(std::move(row));
  }
  return report::to_text(table);
}

std::string calibration_table(const refine::NoiseCalibration& calibration, const std::vector<std::string>& dimensions) {
  std::string text = "estimated share of wrong labels (leans to the low side):";
  for (size_t k = 0; k < dimensions.size(); ++k) {
    text += (k > 0 ? ", " : " ") + dimensions[k] + " " + report::fixed(100 * calibration.wrong_share_K[k], 1) + " %";
  }
  report::Table table{.header = {"predicted", "planted labels: mean predicted", "really planted", "labels"}, .rows = {}};
  for (const auto& bin : calibration.reliability) {
    table.rows.push_back({report::fixed(bin.low, 1) + " - " + report::fixed(bin.high, 1), report::fixed(bin.predicted, 3),
                          report::fixed(bin.observed, 3), std::to_string(bin.count)});
  }
  return text + "\nreliability on rounds that took no part in the fit; mean deviation " + report::fixed(calibration.calibration_error, 4) +
         (calibration.held_out ? "" : "; without kept features the residuals come from a model that has seen the labels") + "\n" +
         report::to_text(table);
}

nlohmann::ordered_json detection_run(const influence::Profile& profile, const std::filesystem::path& truth_file,
                                     const std::vector<int64_t>& counts) {
  const at::Tensor corrupted_NK = refine::read_truth(truth_file, profile);
  nlohmann::ordered_json document{{"truth", truth_file.string()}, {"methods", nlohmann::ordered_json::object()}};
  for (const auto& name : refine::available_risks(profile)) {
    document["methods"][name] = refine::to_json(refine::detect(refine::risk_named(name, profile), corrupted_NK, counts), profile.dimensions);
  }
  return document;
}

std::string detection_table(const nlohmann::ordered_json& detection, const std::vector<std::string>& dimensions) {
  report::Table table{.header = {"AUROC"}, .rows = {}};
  table.header.insert(table.header.end(), dimensions.begin(), dimensions.end());
  table.header.insert(table.header.end(), {"mean", "mean average precision", "mean precision at the number of wrong labels"});
  for (const auto& [name, method] : detection.at("methods").items()) {
    std::vector<std::string> row{name};
    for (const auto& dimension : dimensions) row.push_back(report::fixed(number_of(method.at("dimensions").at(dimension).at("auroc")), 4));
    for (const char* key : {"auroc", "average_precision", "precision_at_positives"}) row.push_back(report::fixed(number_of(method.at("mean").at(key)), 4));
    table.rows.push_back(std::move(row));
  }
  return report::to_text(table);
}

}  // namespace mvrm::run
