// SPDX-License-Identifier: Apache-2.0
// The pass that collects a profile: one forward pass over a data set, resumable after a kill, on any number of ranks. And the profile made
// again from kept features when labels or the head have changed, without a model or a video.
#pragma once
#include <mvrm/core/context.h>
#include <mvrm/core/error.h>
#include <mvrm/data/dataset.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/influence/matrix.h>
#include <mvrm/influence/profile.h>
#include <mvrm/model/reward_model.h>
#include <optional>

namespace mvrm::influence {

struct ProfileOptions {
  int64_t batch = 8;
  std::optional<at::ScalarType> feature_dtype;   // float, bfloat16 or half: keep the features; nullopt: don't
  std::optional<Space> space;                    // also keep the gradient products of the rewards in this space (Profile::kernel_NKK)
  bool replace = true;                           // a finished profile of other inputs in the directory; else ConfigError
  std::filesystem::path model_dir;               // hashed into Profile::model_hash; empty: no hash, and no resuming
};
// A whole profile lies there, not one that was cut short.
bool is_finished_profile(const std::filesystem::path& directory);
core::ConfigError other_profile(const std::filesystem::path& directory);   // says that it is kept, and what to do

// Ranks take chunks of `batch` rows in turn, every rank gets the whole profile. Which samples share a forward pass depends on `batch` alone,
// so ranks, workers and a kill in between change no bit on a CPU. The head and the residual are computed in float32 from the model's
// feature. Bad samples are left out. Resumes from `directory` when it holds a matching partial profile (samples with done = 1 are not
// computed again, but for the rest of a chunk that was cut while its flags were written) and writes rows there as they are finished;
// empty = keep in memory only. The folder must be one that all ranks see.
Profile compute_profile(const model::RewardModel& model, data::Dataset& dataset, const ProfileOptions& options, dist::Communicator& comm,
                        const core::Context& context, const std::filesystem::path& directory = {});

// Replaces the labels (float32 [N,K]) and derives residuals and self-influence again.
void set_labels(Profile& profile, const core::Tensor& label_NK);
// Replaces rewards by those of another head, weight [K,D] and bias [K], in float32 from the kept features. What else came from the old model
// (prefix rewards, gradient products) is dropped. Throws DataError without features, Error (model) when the width is another.
void set_head(Profile& profile, const core::Tensor& weight_KD, const core::Tensor& bias_K);

}  // namespace mvrm::influence
