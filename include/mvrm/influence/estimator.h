// SPDX-License-Identifier: Apache-2.0
// Self-influence in closed form from residuals and features (spec/influence.md; paper Eq. 21-22), and the pass that collects them.
#pragma once
#include <mvrm/core/context.h>
#include <mvrm/data/dataset.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/influence/profile.h>
#include <mvrm/model/reward_model.h>
#include <functional>

namespace mvrm::influence {

// S_nk = r_nk^2 ||h_n||^2 (with_bias adds 1 to ||h||^2). Computed in float64, any float dtype in, float64 out. NaN stays NaN.
core::Tensor closed_form(const core::Tensor& residual_NK, const core::Tensor& feature_sq_norm_N, bool with_bias = false);
// Scalar TracIn self-influence at one checkpoint: sum over dimensions (NaN cells left out), [N].
core::Tensor tracin_scalar(const core::Tensor& self_influence_NK);

struct ProfileOptions {
  int64_t batch = 8;
  bool keep_features = false;
  std::filesystem::path model_dir;  // hashed into Profile::model_hash; empty: no hash, and no resuming
};
// One forward pass over the data set, ranks take interleaved rows, every rank gets the whole profile. The head and the residual are
// computed in float32 from the model's feature. Bad samples are left out. Resumes from `directory` when it holds a matching partial profile
// (rows with done = 1 are not computed again) and writes rows there as they are finished; empty = keep in memory only.
Profile compute_profile(const model::RewardModel& model, data::Dataset& dataset, const ProfileOptions& options, dist::Communicator& comm,
                        const core::Context& context, const std::filesystem::path& directory = {});

}  // namespace mvrm::influence
