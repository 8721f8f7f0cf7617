// SPDX-License-Identifier: Apache-2.0
// The story of `mvrm profile`: model and data in, profile out; or features of an earlier profile in, and no video touched.
#include "leftovers.h"

#include <ATen/ATen.h>
#include <cmath>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/influence/estimator.h>
#include <mvrm/influence/profile_pass.h>
#include <mvrm/influence/whatif.h>
#include <mvrm/refine/corrections.h>
#include <mvrm/report/table.h>
#include <mvrm/run/devices.h>
#include <mvrm/run/process.h>
#include <mvrm/run/profile_run.h>
#include <mvrm/run/run_lock.h>
#include <mvrm/run/train_run.h>
#include <nlohmann/json.hpp>
#include <optional>

namespace mvrm::run {

namespace {

using Json = nlohmann::ordered_json;

std::optional<at::ScalarType> feature_dtype(const std::string& name) {
  if (name.empty()) return std::nullopt;
  return name == "bf16" ? at::kBFloat16 : name == "f16" ? at::kHalf : at::kFloat;
}

influence::Profile from_model(const ProfileRunOptions& options, dist::Communicator& comm, const core::Context& context) {
  const auto dtype = options.dtype == "bf16" ? at::kBFloat16 : at::kFloat;
  const model::RewardModel model = model::load_reward_model(options.model_dir, dtype, context.seed, at::Device(context.device));
  if (comm.is_main()) log_device(model, context);
  const auto dataset = open_dataset(options.data, options.data_file, options.model_dir, context);
  influence::ProfileOptions pass{.batch = options.data.batch, .feature_dtype = feature_dtype(options.features), .space = {}, .replace = options.replace,
                                 .model_dir = options.model_dir};
  if (!options.space.empty()) pass.space = influence::space_from_name(options.space);
  return influence::compute_profile(model, *dataset, pass, comm, context, options.out_dir);
}

influence::Profile from_profile(const ProfileRunOptions& options, const influence::EstimatorInput& head) {
  influence::Profile profile = influence::read_profile(options.from_dir);
  if (influence::is_finished_profile(options.out_dir) && !options.replace) {
    const influence::Profile there = influence::read_profile(options.out_dir);
    if (there.ids != profile.ids || there.data_hash != profile.data_hash) throw influence::other_profile(options.out_dir);
  }
  if (!options.data_file.empty()) influence::check_data(profile, core::sha256_file(options.data_file), options.data_file);
  if (head.weight_KD.defined()) {
    influence::set_head(profile, head.weight_KD, head.bias_K);
    profile.model_hash = model::model_hash(options.head_dir);
  }
  if (!options.labels_file.empty()) {
    const auto corrections = refine::read_corrections(options.labels_file);
    influence::set_labels(profile, refine::corrected_labels(profile.label_NK, profile.ids, profile.dimensions, corrections));
  }
  return profile;
}

void apply_estimator(influence::Profile& profile, const ProfileRunOptions& options, influence::EstimatorInput input) {
  std::vector<influence::Profile> checkpoints;
  for (const auto& [directory, learning_rate] : options.checkpoints) checkpoints.push_back(influence::read_profile(directory));
  for (size_t c = 0; c < checkpoints.size(); ++c) {
    input.checkpoints.push_back({.profile = &checkpoints[c], .learning_rate = options.checkpoints[c].second});
  }
  input.profile = &profile;
  profile.self_influence_NK = influence::estimate(options.estimator, input).to(at::kFloat);
  profile.estimator = options.estimator;
}

// Before the forward pass, not behind it. What a finished profile lacks, the estimator says itself.
void check_estimator(const ProfileRunOptions& options) {
  using Needs = influence::EstimatorEntry::Needs;
  const Needs needs = influence::estimator_named(options.estimator).needs;
  const auto refuse = [&](const std::string& what) { throw core::ConfigError("estimator " + options.estimator + ": " + what); };
  if (needs == Needs::checkpoints && options.checkpoints.empty()) refuse("needs the profiles of checkpoints and their learning rates; give --checkpoint DIR=LR");
  if (!options.from_dir.empty()) return;
  if (needs == Needs::features && options.features.empty()) refuse("needs the features; add --features");
  if (needs == Needs::products && options.space.empty()) refuse("needs gradient products; add --space head+mlp");
  if (needs == Needs::training) refuse("ranks profiles that training collected (train.collect_influence); give one with --from");
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

}  // namespace

influence::Profile profile_run(const ProfileRunOptions& options, dist::Communicator& comm, const core::Context& context) {
  check_estimator(options);
  std::filesystem::create_directories(options.out_dir);
  const auto lock = lock_directory(options.out_dir, "--out", comm);
  comm.watch(options.out_dir / ".ranks");
  influence::EstimatorInput input;
  const std::filesystem::path& head_dir = options.head_dir.empty() && options.estimator == "autograd" ? options.model_dir : options.head_dir;
  if (!head_dir.empty()) {
    const auto head = model::load_reward_model(head_dir, at::kFloat).parameters.back();
    input.weight_KD = head[1];
    input.bias_K = head[2];
  }
  if (comm.is_main()) remove_leftovers(options.out_dir);
  influence::Profile profile = options.from_dir.empty() ? from_model(options, comm, context) : from_profile(options, input);
  std::optional<AllCores> algebra;
  dist::while_main_works(comm, [&] {
    if (options.all_cores) algebra.emplace();
    apply_estimator(profile, options, input);
  });
  profile.self_influence_NK = profile.self_influence_NK.contiguous();
  comm.broadcast(profile.self_influence_NK);
  profile.estimator = options.estimator;
  profile.moments_K = influence::merged_moments(profile.self_influence_NK, comm);
  dist::while_main_works(comm, [&] {
    influence::write_profile(options.out_dir, profile);
    if (options.fit_head && profile.feature_ND.defined()) {
      const auto [feature_ND, label_NK] = influence::fit_table(profile);
      influence::kept_ridge(options.out_dir, feature_ND, label_NK, {}, context);
    }
  });
  return profile;
}

std::string profile_table(const influence::Profile& profile, double alpha_percent) {
  const auto statistics = influence::statistics(profile);
  const auto similarity = influence::loss_similarity(profile, alpha_percent);
  report::Table table{.header = {"dimension", "n", "mean S", "std S", "median S", "99 % S", "Spearman(S, r2)",
                                 "Jaccard@" + report::fixed(alpha_percent, 1) + "%"}, .rows = {}};
  for (size_t k = 0; k < profile.dimensions.size(); ++k) {
    const auto& s = statistics[k];
    table.rows.push_back({profile.dimensions[k], std::to_string(s.count), report::fixed(s.mean, 3), report::fixed(s.standard_deviation, 3),
                          report::fixed(s.quantiles[4], 3), report::fixed(s.quantiles[7], 3), report::fixed(similarity.spearman_K[k], 4),
                          report::fixed(similarity.jaccard_K[k], 3)});
  }
  report::Table between{.header = {"Spearman between dimensions"}, .rows = {}};
  const at::Tensor correlation_KK = influence::dimension_correlations(profile);
  for (size_t j = 0; j < profile.dimensions.size(); ++j) {
    between.header.push_back(profile.dimensions[j]);
    between.rows.push_back({profile.dimensions[j]});
    for (size_t k = 0; k < profile.dimensions.size(); ++k) {
      between.rows.back().push_back(report::fixed(correlation_KK[static_cast<int64_t>(j)][static_cast<int64_t>(k)].item<double>(), 3));
    }
  }
  return report::to_text(table) + "coefficient of variation of the squared feature norm: " +
         report::fixed(100.0 * similarity.feature_sq_norm_cv, 2) + " % (0 % = the closed form ranks exactly like the squared residual)\n\n" +
         report::to_text(between);
}

std::string profile_json(const influence::Profile& profile, double alpha_percent) {
  const auto statistics = influence::statistics(profile);
  const auto similarity = influence::loss_similarity(profile, alpha_percent);
  const at::Tensor correlation_KK = influence::dimension_correlations(profile);
  Json document{{"samples", profile.ids.size()}, {"done", profile.done_N.sum().item<int64_t>()}, {"estimator", profile.estimator},
                {"alpha", alpha_percent}, {"feature_sq_norm_cv", number(similarity.feature_sq_norm_cv)}, {"dimensions", Json::object()}};
  for (size_t k = 0; k < profile.dimensions.size(); ++k) {
    const auto& s = statistics[k];
    Json quantiles = Json::array(), correlation = Json::object();
    for (const double q : s.quantiles) quantiles.push_back(number(q));
    for (size_t j = 0; j < profile.dimensions.size(); ++j) {
      correlation[profile.dimensions[j]] = number(correlation_KK[static_cast<int64_t>(k)][static_cast<int64_t>(j)].item<double>());
    }
    document["dimensions"][profile.dimensions[k]] = {{"count", s.count}, {"mean", s.mean}, {"std", s.standard_deviation}, {"quantiles", quantiles},
                                                     {"spearman_with_loss", number(similarity.spearman_K[k])},
                                                     {"jaccard_with_loss", number(similarity.jaccard_K[k])}, {"spearman_with", correlation}};
  }
  return document.dump(2);
}

}  // namespace mvrm::run
