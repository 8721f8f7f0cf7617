// SPDX-License-Identifier: Apache-2.0
// mvrm refine: the plan that follows from a profile, the labels that look wrong in it, and how well risks find labels known to be wrong.
#pragma once
#include <cstdint>
#include <filesystem>
#include <mvrm/influence/profile.h>
#include <mvrm/core/context.h>
#include <mvrm/refine/alpha_search.h>
#include <mvrm/refine/calibration.h>
#include <mvrm/refine/noise_experiment.h>
#include <mvrm/refine/strategy.h>
#include <mvrm/refine/suspects.h>
#include <mvrm/run/run_config.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace mvrm::run {

// What the section says, for these dimensions; reads the corrections file where one is named. Throws ConfigError, DataError.
refine::RefineConfig refine_config(const RefineSection& section, const std::vector<std::string>& dimensions, uint64_t seed);

struct RefineRunOptions {
  std::filesystem::path profile_dir, plan_file;
  RefineSection refine;
  uint64_t seed = 42;
};
// Writes the plan; in the place of another plan, but of no other file (ConfigError).
refine::PlanSummary refine_run(const RefineRunOptions& options, const influence::Profile& profile);
// Strategy, kept and removed samples, and per dimension alpha, threshold, count, cumulative union, mean weight, labels that were selected.
std::string summary_table(const refine::PlanSummary& summary, const std::vector<std::string>& dimensions);

// Ranked suspects (refine/suspects.h); with `calibrate` by the calibrated probability, which they then carry with a suggested label.
struct SuspectsOutcome {
  std::vector<refine::Suspect> suspects;
  std::optional<refine::NoiseCalibration> calibration;
};
SuspectsOutcome suspects_run(const influence::Profile& profile, const std::string& risk, const refine::SuspectOptions& options, bool calibrate,
                             uint64_t seed);
std::string suspects_table(const std::vector<refine::Suspect>& suspects, const influence::Profile& profile);

// Estimated share of wrong labels by dimension, and the reliability curve.
std::string calibration_table(const refine::NoiseCalibration& calibration, const std::vector<std::string>& dimensions);

// Alpha by the ridge proxy (refine/alpha_search.h): every candidate on all dimensions at once, rated by Spearman per dimension on the profile of a
// validation file. The section's strategy; `ddp+ddr` is searched as `ddp`. Throws ConfigError for a strategy without alpha, DataError when a
// profile has no features, or they are of different models.
struct AlphaSearchOutcome {
  refine::AlphaChoice choice;
  std::vector<double> all_labels_K;   // without refinement
};
AlphaSearchOutcome alpha_search_run(const RefineRunOptions& options, const influence::Profile& profile, const std::filesystem::path& validation_dir,
                                    const std::vector<double>& candidates, const core::Context& context);
std::string alpha_search_table(const AlphaSearchOutcome& outcome, const std::vector<std::string>& dimensions);
nlohmann::ordered_json alpha_search_json(const AlphaSearchOutcome& outcome, const std::vector<std::string>& dimensions);

// Plants noise in the profile's labels, refits the head and asks every risk for the places: the document of detection_run, with "noise" and the
// deviation of the residuals of right labels in the place of "truth".
nlohmann::ordered_json noise_run(const influence::Profile& profile, const std::string& kind, double share, uint64_t seed, const std::vector<int64_t>& counts);

// How well every risk of the profile finds the labels that a truth file calls wrong: {"truth", "methods": {risk: detection}}.
nlohmann::ordered_json detection_run(const influence::Profile& profile, const std::filesystem::path& truth_file,
                                     const std::vector<int64_t>& counts);
// AUROC by risk and dimension with the mean; then average precision and precision among as many labels as are wrong, by risk.
std::string detection_table(const nlohmann::ordered_json& detection, const std::vector<std::string>& dimensions);

}  // namespace mvrm::run
