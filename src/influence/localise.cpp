// SPDX-License-Identifier: Apache-2.0
// F frames, G x G regions, K dimensions, V variants of a clip.
#include <mvrm/influence/localise.h>

#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/data/batch.h>
#include <mvrm/model/forward_pass.h>
#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <numeric>
#include <thread>

namespace mvrm::influence {

namespace {

using Variant = std::function<data::Example()>;

// Rewards, and ||h||^2 in a last column.
at::Tensor rewards_of(const model::RewardModel& model, const std::vector<std::shared_ptr<const data::Example>>& examples,
                      const preprocess::ImageTransformConfig& image_config) {
  const data::Batch batch = data::collate(examples, image_config, model.config.pad_token_id.value_or(0));
  const model::RewardOutput output = model::forward(model, batch);
  return at::cat({output.reward_BK.to(at::kCPU, at::kFloat), output.feature_BD.to(at::kCPU, at::kDouble).square().sum(1, true).to(at::kFloat)}, 1);
}

// Of all variants, [V,K+1]; they are made when their turn comes, so memory holds a batch a thread.
at::Tensor score_variants(const model::RewardModel& model, const std::vector<Variant>& variants, const preprocess::ImageTransformConfig& image_config,
                          int64_t batch, int64_t threads) {
  at::Tensor reward_VK = at::empty({static_cast<int64_t>(variants.size()), model.config.num_labels + 1}, at::kFloat);
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr first_error;
  const size_t chunk = static_cast<size_t>(std::max<int64_t>(1, batch));
  const auto work = [&] {
    for (size_t begin = next.fetch_add(chunk); begin < variants.size(); begin = next.fetch_add(chunk)) {
      try {
        std::vector<std::shared_ptr<const data::Example>> examples;
        for (size_t v = begin; v < std::min(begin + chunk, variants.size()); ++v) examples.push_back(std::make_shared<data::Example>(variants[v]()));
        const at::Tensor reward = rewards_of(model, examples, image_config);
        reward_VK.narrow(0, static_cast<int64_t>(begin), reward.size(0)).copy_(reward);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!first_error) first_error = std::current_exception();
        next = variants.size();
      }
    }
  };
  std::vector<std::thread> workers;
  for (int64_t w = 1; w < threads; ++w) workers.emplace_back(work);
  work();
  for (auto& worker : workers) worker.join();
  if (first_error) std::rethrow_exception(first_error);
  return reward_VK;
}

at::Tensor prefix_rewards(const model::RewardModel& model, const data::Example& example, const preprocess::ImageTransformConfig& image_config) {
  const auto frames = static_cast<int64_t>(example.frame_indices.size());
  const auto positions = model::prefix_positions(example, model.config);
  if (positions.empty()) return at::full({frames, model.config.num_labels}, std::numeric_limits<float>::quiet_NaN(), at::kFloat);
  const data::Batch batch = data::collate({std::make_shared<data::Example>(example)}, image_config, model.config.pad_token_id.value_or(0));
  const at::Tensor position_BF = at::tensor(at::ArrayRef<int64_t>(positions), at::kLong).unsqueeze(0);
  return model::forward(model, batch, {.prefix_position_BF = position_BF}).prefix_reward_BFK[0].to(at::kCPU, at::kFloat);
}

// The frames that `kept` names, in order.
void keep_frames(data::Example& example, const std::vector<int64_t>& kept) {
  const at::Tensor index = at::tensor(at::ArrayRef<int64_t>(kept), at::kLong);
  example.pixels.levels_NCHW = example.pixels.levels_NCHW.index_select(0, index);
  if (example.pixels.mask_NHW.defined()) example.pixels.mask_NHW = example.pixels.mask_NHW.index_select(0, index);
}

// Of whole pictures.
at::Tensor region_of(const at::Tensor& pictures, int64_t grid, int64_t row, int64_t column) {
  const int64_t height = pictures.size(-2), width = pictures.size(-1);
  return pictures.slice(-2, height * row / grid, height * (row + 1) / grid).slice(-1, width * column / grid, width * (column + 1) / grid);
}

}  // namespace

std::optional<data::Example> up_to_frame(const data::Example& example, const model::ModelConfig& config, int64_t frame) {
  const auto positions = model::prefix_positions(example, config);
  if (positions.empty()) return std::nullopt;
  MVRM_CHECK(frame >= 0 && frame < static_cast<int64_t>(positions.size()), "frame ", frame, " of ", positions.size());
  data::Example shorter = example;
  shorter.input_ids.resize(static_cast<size_t>(positions[static_cast<size_t>(frame)]) + 1);
  shorter.frame_indices.resize(static_cast<size_t>(frame) + 1);
  std::vector<int64_t> kept(static_cast<size_t>(frame) + 1);
  std::iota(kept.begin(), kept.end(), int64_t{0});
  keep_frames(shorter, kept);
  return shorter;
}

std::optional<data::Example> without_frame(const data::Example& example, const model::ModelConfig& config, int64_t frame) {
  const auto positions = model::prefix_positions(example, config);
  const auto frames = static_cast<int64_t>(positions.size());
  if (frames < 2) return std::nullopt;
  MVRM_CHECK(frame >= 0 && frame < frames, "frame ", frame, " of ", frames);
  // A frame's tokens are the mark before it, its image tokens, the mark and the text behind it; all frames have as many.
  const int64_t end = positions[static_cast<size_t>(frame)] + 1, length = positions[1] - positions[0];
  data::Example shorter = example;
  shorter.input_ids.erase(shorter.input_ids.begin() + (end - length), shorter.input_ids.begin() + end);
  shorter.frame_indices.erase(shorter.frame_indices.begin() + frame);
  std::vector<int64_t> kept;
  for (int64_t f = 0; f < frames; ++f) {
    if (f != frame) kept.push_back(f);
  }
  keep_frames(shorter, kept);
  return shorter;
}

data::Example with_hidden_region(const data::Example& example, int64_t frame, int64_t row, int64_t column, const LocaliseOptions& options) {
  const at::Tensor& levels = example.pixels.levels_NCHW;
  data::Example changed = example;
  changed.pixels.levels_NCHW = levels.clone();
  at::Tensor hole = region_of(changed.pixels.levels_NCHW[frame], options.grid, row, column);
  if (options.fill == Fill::median && levels.size(0) > 1) hole.copy_(std::get<0>(region_of(levels, options.grid, row, column).median(0)));
  else hole.copy_(levels[frame].to(at::kFloat).mean(at::IntArrayRef{1, 2}, true).round().to(at::kByte).expand_as(hole));
  return changed;
}

std::optional<data::Example> region_alone(const data::Example& example, const model::ModelConfig& config, int64_t frame, int64_t row, int64_t column,
                                          int64_t grid) {
  std::optional<data::Example> alone = up_to_frame(example, config, 0);
  if (!alone) return alone;
  const at::Tensor& levels = example.pixels.levels_NCHW;
  const at::Tensor region_1CHW = region_of(levels.narrow(0, frame, 1), grid, row, column).to(at::kFloat).contiguous();
  alone->pixels.levels_NCHW = at::upsample_bilinear2d(region_1CHW, {levels.size(2), levels.size(3)}, /*align_corners=*/false).round().clamp(0, 255).to(at::kByte);
  return alone;
}

Localisation localise(const model::RewardModel& model, const data::Example& example, const preprocess::ImageTransformConfig& image_config,
                      const LocaliseOptions& options, const core::Context& context) {
  const auto frames = static_cast<int64_t>(example.frame_indices.size());
  if (frames == 0) throw core::DataError("sample '" + example.id + "': has no frames to look at", example.id);
  if (example.pixels.count() != frames) throw core::DataError("sample '" + example.id + "': frames are split into tiles; regions need do_image_splitting: false", example.id);
  const int64_t dimensions = model.config.num_labels, grid = options.grid;
  const bool alone = options.regions == Regions::alone;
  if (alone && !up_to_frame(example, model.config, 0)) {
    throw core::DataError("sample '" + example.id + "': its frames don't stand at the end of the prompt with the same text behind each, so no region can be scored alone", example.id);
  }
  std::vector<Variant> variants{[&] { return example; }};
  const bool leave_out = options.frames && without_frame(example, model.config, 0).has_value();
  for (int64_t f = 0; leave_out && f < frames; ++f) variants.emplace_back([&, f] { return *without_frame(example, model.config, f); });
  const auto regions_begin = static_cast<int64_t>(variants.size());
  for (int64_t v = 0; v < frames * grid * grid; ++v) {
    const int64_t frame = v / (grid * grid), row = v / grid % grid, column = v % grid;
    variants.emplace_back([&, frame, row, column] {
      return alone ? *region_alone(example, model.config, frame, row, column, grid) : with_hidden_region(example, frame, row, column, options);
    });
  }
  const auto prefix_begin = static_cast<int64_t>(variants.size());
  const bool prefixes = !model::prefix_positions(example, model.config).empty();
  for (int64_t f = 0; prefixes && f + 1 < frames; ++f) variants.emplace_back([&, f] { return *up_to_frame(example, model.config, f); });
  const at::Tensor scored_VJ = score_variants(model, variants, image_config, options.batch, context.threads);
  const at::Tensor reward_VK = scored_VJ.narrow(1, 0, dimensions), norm_V = scored_VJ.select(1, dimensions);
  Localisation result{.reward_K = reward_VK[0].clone(), .prefix_reward_FK = prefix_rewards(model, example, image_config),
                      .prefix_sq_norm_F = at::full({frames}, std::numeric_limits<float>::quiet_NaN(), at::kFloat),
                      .without_frame_FK = at::full({frames, dimensions}, std::numeric_limits<float>::quiet_NaN(), at::kFloat), .hidden_region_FGGK = {}, .lone_region_FGGK = {}};
  if (prefixes) result.prefix_sq_norm_F = at::cat({norm_V.narrow(0, prefix_begin, frames - 1), norm_V.narrow(0, 0, 1)});
  if (leave_out) result.without_frame_FK = reward_VK.narrow(0, 1, frames).clone();
  if (grid > 0) (alone ? result.lone_region_FGGK : result.hidden_region_FGGK) = reward_VK.narrow(0, regions_begin, frames * grid * grid).clone().view({frames, grid, grid, dimensions});
  return result;
}

at::Tensor prefix_steps(const Localisation& localisation) {
  const at::Tensor& reward_FK = localisation.prefix_reward_FK;
  at::Tensor step_FK = at::full_like(reward_FK, std::numeric_limits<double>::quiet_NaN());
  if (reward_FK.size(0) > 1) step_FK.slice(0, 1).copy_(reward_FK.slice(0, 1) - reward_FK.slice(0, 0, -1));
  return step_FK;
}

at::Tensor prefix_self_influence(const Localisation& localisation, const at::Tensor& label_K) {
  return (localisation.prefix_reward_FK - label_K).square() * localisation.prefix_sq_norm_F.unsqueeze(1);
}

std::vector<int64_t> frames_of_step(const Localisation& localisation, const at::Tensor& label_K) {
  const at::Tensor blame_FK = (prefix_steps(localisation) * (localisation.reward_K - label_K)).to(at::kFloat).contiguous();
  std::vector<int64_t> frames;
  for (int64_t k = 0; k < blame_FK.size(1); ++k) {
    int64_t best = -1;
    float most = 0;
    for (int64_t f = 0; f < blame_FK.size(0); ++f) {
      const float value = blame_FK[f][k].item<float>();
      if (!(value > most)) continue;
      best = f;
      most = value;
    }
    frames.push_back(best);
  }
  return frames;
}

at::Tensor carried_risk(const at::Tensor& reward_K, const at::Tensor& label_K, const at::Tensor& changed) {
  return (reward_K - label_K).square() - (changed - label_K).square();
}

}  // namespace mvrm::influence
