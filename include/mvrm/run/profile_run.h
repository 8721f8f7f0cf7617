// SPDX-License-Identifier: Apache-2.0
// mvrm profile: one forward pass over a data set, or a profile made again from the features of an earlier one.
#pragma once
#include <filesystem>
#include <mvrm/core/context.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/influence/profile.h>
#include <mvrm/run/run_config.h>
#include <string>
#include <utility>
#include <vector>

namespace mvrm::run {

struct ProfileRunOptions {
  std::filesystem::path model_dir, data_file, out_dir;
  std::filesystem::path from_dir;               // a finished profile: no model is run, `data_file` only has to be the one it was made from
  std::filesystem::path labels_file;            // with from_dir: corrections.jsonl
  std::filesystem::path head_dir;               // with from_dir: rewards by the head of this model; estimator autograd reads it too
  DataSection data;
  std::string dtype = "f32";
  std::string features;                         // "" = not kept, f32, bf16, f16
  std::string space;                            // "" = none, or a name of influence::spaces(): keeps gradient products for row_sum
  bool fit_head = false;                        // with features: also keep the fit that `mvrm whatif` answers from (ridge.safetensors)
  std::string estimator = "closed_form";        // a name of influence::estimators(): what self_influence holds
  std::vector<std::pair<std::filesystem::path, double>> checkpoints;   // profiles and learning rates of estimator tracin
  bool replace = false;                         // a finished profile of other inputs in out_dir; else ConfigError
  bool all_cores = true;                        // for the algebra at the end; false when other work shares this process
};
// Resumes a partial profile in out_dir; a complete one of the same model and data is read back.
influence::Profile profile_run(const ProfileRunOptions& options, dist::Communicator& comm, const core::Context& context);
// Per dimension: n, mean, standard deviation, median and 99 % quantile of S, Spearman(S, r^2), Jaccard at `alpha_percent`; the variation of
// ||h||^2; rank correlations between dimensions.
std::string profile_table(const influence::Profile& profile, double alpha_percent);
std::string profile_json(const influence::Profile& profile, double alpha_percent);   // the same numbers

}  // namespace mvrm::run
