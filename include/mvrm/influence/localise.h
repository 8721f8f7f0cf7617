// SPDX-License-Identifier: Apache-2.0
// Which frames and regions of one clip carry its rewards and their risk: the clip cut behind each frame (free, by causality), without each
// frame, and with each region of each frame hidden, or each region alone. Every number is the reward of a clip that the model really scored.
// F frames, G x G regions a frame, K dimensions.
#pragma once
#include <mvrm/core/context.h>
#include <mvrm/data/dataset.h>
#include <mvrm/model/reward_model.h>
#include <optional>
#include <vector>

namespace mvrm::influence {

// What stands in for a hidden region: the median of the same region over all frames (what the clip shows there most of the time), or the
// frame's mean colour.
enum class Fill { median, mean };

// What a region is judged by: the clip without it, or the region alone, enlarged to the size of the frame, as a clip of one frame.
enum class Regions { hidden, alone };

struct LocaliseOptions {
  int64_t grid = 4;              // G; 0 = no regions
  bool frames = true;            // leave each frame out
  Fill fill = Fill::median;
  Regions regions = Regions::hidden;
  int64_t batch = 8;             // variants a forward pass
};
struct Localisation {
  core::Tensor reward_K;               // float32, of the whole clip
  core::Tensor prefix_reward_FK;       // behind frame f; NaN where the prompt has no prefixes (model::prefix_positions)
  core::Tensor prefix_sq_norm_F;       // ||h||^2 of the clip cut behind frame f; NaN as above
  core::Tensor without_frame_FK;       // NaN when there is one frame only, or the frames can't be taken out of the prompt
  core::Tensor hidden_region_FGGK;     // undefined for grid = 0 and Regions::alone; rows from top to bottom, columns from left to right
  core::Tensor lone_region_FGGK;       // the same for Regions::alone: the region's own reward
};
// Forward passes: 2 F + F G^2, cut between context.threads. Throws DataError for a clip without frames or with frames split into tiles,
// and with Regions::alone for one whose frames don't stand apart in the prompt.
Localisation localise(const model::RewardModel& model, const data::Example& example, const preprocess::ImageTransformConfig& image_config,
                      const LocaliseOptions& options, const core::Context& context);

// Step of the prefix rewards at each frame, [F,K]; NaN for the first. Prefix self-influence (s_kf - y_k)^2 ||h_f||^2, [F,K]: the closed form of the
// label had the clip ended there. Frame of the largest r_k * step, for each k, r_k the residual of the whole clip: where the reward turned
// wrong most; -1 where no step went its way.
core::Tensor prefix_steps(const Localisation& localisation);
core::Tensor prefix_self_influence(const Localisation& localisation, const core::Tensor& label_K);
std::vector<int64_t> frames_of_step(const Localisation& localisation, const core::Tensor& label_K);

// r^2 - r'^2 with the residuals before and after a change of the clip, [..., K]: positive where what was taken away carried the risk.
core::Tensor carried_risk(const core::Tensor& reward_K, const core::Tensor& label_K, const core::Tensor& changed);

// The example without frame f: its tokens and its picture. nullopt where the frames don't stand apart in the prompt.
std::optional<data::Example> without_frame(const data::Example& example, const model::ModelConfig& config, int64_t frame);
// The example cut behind frame f: what the prefix reward of f is the reward of. nullopt as above, one frame included.
std::optional<data::Example> up_to_frame(const data::Example& example, const model::ModelConfig& config, int64_t frame);
// The example with the region (row, column) of frame f filled.
data::Example with_hidden_region(const data::Example& example, int64_t frame, int64_t row, int64_t column, const LocaliseOptions& options);

// A clip of one frame, which is the region (row, column) of frame f. nullopt as in without_frame().
std::optional<data::Example> region_alone(const data::Example& example, const model::ModelConfig& config, int64_t frame, int64_t row, int64_t column,
                                          int64_t grid);

}  // namespace mvrm::influence
