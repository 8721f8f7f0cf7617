// SPDX-License-Identifier: Apache-2.0
// mvrm profile: one forward pass over a data set.
#pragma once
#include <filesystem>
#include <mvrm/core/context.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/influence/profile.h>
#include <mvrm/run/run_config.h>
#include <string>

namespace mvrm::run {

struct ProfileRunOptions {
  std::filesystem::path model_dir, data_file, out_dir;
  DataSection data;
  std::string dtype = "f32";
  bool keep_features = false;
};
// Resumes a partial profile in out_dir; a complete one of the same model and data is read back.
influence::Profile profile_run(const ProfileRunOptions& options, dist::Communicator& comm, const core::Context& context);
// Per dimension: n, mean, standard deviation, median and 99 % quantile of S, Spearman(S, r^2), Jaccard at `alpha_percent`.
std::string profile_table(const influence::Profile& profile, double alpha_percent);

}  // namespace mvrm::run
