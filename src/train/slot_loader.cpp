// SPDX-License-Identifier: Apache-2.0
// B samples of a micro-batch.
#include "slot_loader.h"

#include <ATen/Parallel.h>
#include <algorithm>
#include <chrono>
#include <mvrm/core/error.h>
#include <mvrm/train/cost.h>

namespace mvrm::train {

namespace {

at::Tensor work_of_rows(const model::ModelConfig& config, const data::Batch& batch) {
  const at::Tensor token_B = batch.attention_mask_BL.sum(1), image_token_B = (batch.input_ids_BL == config.image_token_id).sum(1);
  at::Tensor work_B2 = at::empty({batch.size(), 2}, at::kDouble);
  for (int64_t b = 0; b < batch.size(); ++b) {
    ClipShape clip{.frames = image_token_B[b].item<int64_t>() / config.perceiver.resampler_n_latents, .height = 0, .width = 0,
                   .tokens = token_B[b].item<int64_t>()};
    if (batch.pixels_RCHW.defined()) clip.height = batch.pixels_RCHW.size(2), clip.width = batch.pixels_RCHW.size(3);
    work_B2[b][0] = static_cast<double>(clip.tokens);
    work_B2[b][1] = flops_of(config, clip).forward();
  }
  return work_B2;
}

}  // namespace

std::vector<int64_t> StepBatch::of_slot(int64_t slot) const {
  if (slot >= slots()) return {};
  const auto begin = static_cast<size_t>(slot * micro_batch), end = std::min(begin + static_cast<size_t>(micro_batch), samples.size());
  return {samples.begin() + static_cast<std::ptrdiff_t>(begin), samples.begin() + static_cast<std::ptrdiff_t>(end)};
}

SlotLoader::SlotLoader(const Samples& samples, const model::RewardModel& model, const StepBatch& step, at::Device device,
                       std::function<std::vector<double>(int64_t slot)> factor_K)
    : samples_(samples), model_(model), step_(step), device_(device), factor_K_(std::move(factor_K)) {}

LoadedSlot SlotLoader::load(int64_t slot) {
  const auto start = std::chrono::steady_clock::now();
  LoadedSlot loaded;
  if (next_announced_ < announced_.size()) {
    MVRM_CHECK(announced_[next_announced_] == slot, "slot ", slot, " instead of ", announced_[next_announced_]);
    loaded = ahead_.valid() ? ahead_.get() : load_now(slot);
    if (++next_announced_ < announced_.size()) {
      ahead_ = std::async(std::launch::async, [this, next = announced_[next_announced_]] {
        at::set_num_threads(1);   // this thread's: a team of its own would be made and dropped for every micro-batch
        return load_now(next);
      });
    }
  } else {
    loaded = load_now(slot);
  }
  wait_nanoseconds_ += std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
  return loaded;
}

LoadedSlot SlotLoader::load_now(int64_t slot) const {
  LoadedSlot result;
  const std::vector<int64_t> wanted = step_.of_slot(slot);
  if (wanted.empty()) return result;
  LoadedBatch loaded = samples_.load(wanted);
  if (loaded.rows.empty()) return result;
  result.rows = std::move(loaded.rows);
  result.work_B2 = work_of_rows(model_.config, loaded.batch);
  MicroBatch& micro = result.micro;
  micro.batch = std::move(loaded.batch);
  micro.weight_BK = samples_.weight_NK.index_select(0, at::tensor(at::ArrayRef<int64_t>(result.rows), at::kLong));
  if (factor_K_) micro.weight_BK = micro.weight_BK * at::tensor(factor_K_(slot), at::kDouble);
  micro.divisor = static_cast<double>(step_.samples.size()) * static_cast<double>(samples_.weight_NK.size(1));
  if (device_.is_cpu()) return result;
  micro.prepared = model::to_device(model::prepare(model_.config, micro.batch, model_.dtype), device_);
  micro.batch.pixels_RCHW.reset();   // on the device now, in the model's dtype
  for (at::Tensor* tensor : {&micro.batch.label_BK, &micro.weight_BK}) *tensor = model::to_device(*tensor, device_);
  return result;
}

}  // namespace mvrm::train
