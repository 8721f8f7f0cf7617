// SPDX-License-Identifier: Apache-2.0
// Which frames and regions of one clip carry its rewards and their risk: the clip cut behind each frame (free, by causality), without each
// frame, and with each region of each frame hidden. Every number is the reward of a clip that the model really scored.
// F frames, G x G regions a frame, K dimensions.
#pragma once
#include <mvrm/core/context.h>
#include <mvrm/data/dataset.h>
#include <mvrm/model/reward_model.h>

namespace mvrm::influence {

// What stands in for a hidden region: the median of the same region over all frames (what the clip shows there most of the time), or the
// frame's mean colour.
enum class Fill { median, mean };

struct LocaliseOptions {
  int64_t grid = 4;              // G; 0 = no regions
  bool frames = true;            // leave each frame out
  Fill fill = Fill::median;
  int64_t batch = 8;             // variants a forward pass
};
struct Localisation {
  core::Tensor reward_K;               // float32, of the whole clip
  core::Tensor prefix_reward_FK;       // behind frame f; NaN where the prompt has no prefixes (model::prefix_positions)
  core::Tensor without_frame_FK;       // NaN when there is one frame only, or the frames can't be taken out of the prompt
  core::Tensor hidden_region_FGGK;     // undefined for grid = 0; rows from top to bottom, columns from left to right
};
// Forward passes: 1 + F + F G^2, cut between context.threads. Throws DataError for a clip without frames or with frames split into tiles.
Localisation localise(const model::RewardModel& model, const data::Example& example, const preprocess::ImageTransformConfig& image_config,
                      const LocaliseOptions& options, const core::Context& context);

// r^2 - r'^2 with the residuals before and after a change of the clip, [..., K]: positive where what was taken away carried the risk.
core::Tensor carried_risk(const core::Tensor& reward_K, const core::Tensor& label_K, const core::Tensor& changed);

// The example without frame f: its tokens and its picture. nullopt where the frames don't stand apart in the prompt.
std::optional<data::Example> without_frame(const data::Example& example, const model::ModelConfig& config, int64_t frame);
// The example with the region (row, column) of frame f filled.
data::Example with_hidden_region(const data::Example& example, int64_t frame, int64_t row, int64_t column, const LocaliseOptions& options);

}  // namespace mvrm::influence
