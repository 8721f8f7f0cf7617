// SPDX-License-Identifier: Apache-2.0
// The story of `mvrm profile`: model and data in, profile out.
#include <ATen/ATen.h>
#include <mvrm/influence/estimator.h>
#include <mvrm/report/table.h>
#include <mvrm/run/profile_run.h>
#include <mvrm/run/train_run.h>

namespace mvrm::run {

influence::Profile profile_run(const ProfileRunOptions& options, dist::Communicator& comm, const core::Context& context) {
  const auto dtype = options.dtype == "bf16" ? at::kBFloat16 : at::kFloat;
  const model::RewardModel model = model::load_reward_model(options.model_dir, dtype);
  const auto dataset = open_dataset(options.data, options.data_file, options.model_dir, context);
  influence::Profile profile =
      influence::compute_profile(model, *dataset, {.batch = 8, .keep_features = options.keep_features, .model_dir = options.model_dir},
                                 comm, context, options.out_dir);
  if (comm.is_main()) influence::write_profile(options.out_dir, profile);
  comm.barrier();
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
  return report::to_text(table) + "coefficient of variation of the squared feature norm: " +
         report::fixed(100.0 * similarity.feature_sq_norm_cv, 2) + " % (0 % = self-influence ranks exactly like the squared residual)\n";
}

}  // namespace mvrm::run
