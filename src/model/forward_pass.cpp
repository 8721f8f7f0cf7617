// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <mutex>
#include <mvrm/core/progress.h>
#include <mvrm/model/forward_pass.h>
#include <thread>
#include <tuple>

namespace mvrm::model {

namespace {

using Shape = std::tuple<size_t, int64_t, int64_t, int64_t>;   // frames, images, height, width

Shape shape_of(const data::Example& example) {
  const auto& levels = example.pixels.levels_NCHW;
  if (!levels.defined()) return {};
  return {example.frame_indices.size(), levels.size(0), levels.size(2), levels.size(3)};
}

// Members of one group have as many frames, so their positions make a table; a sample without prefixes has a row of -1.
at::Tensor position_table(const RewardModel& model, const std::vector<std::shared_ptr<const data::Example>>& examples) {
  const auto frames = static_cast<int64_t>(examples.front()->frame_indices.size());
  at::Tensor position_BF = at::full({static_cast<int64_t>(examples.size()), frames}, -1, at::kLong);
  for (size_t b = 0; b < examples.size(); ++b) {
    const auto positions = prefix_positions(*examples[b], model.config);
    std::copy(positions.begin(), positions.end(), position_BF.mutable_data_ptr<int64_t>() + static_cast<int64_t>(b) * frames);
  }
  return position_BF;
}

// On a GPU one worker at a time puts its batch into the queue, so that the memory of one forward pass is enough; the others decode meanwhile.
RewardOutput forward_in_turn(const RewardModel& model, const PreparedBatch& batch, const ForwardOptions& options, std::mutex& turn) {
  if (device_of(model).is_cpu()) return forward(model, batch, options);
  RewardOutput output;
  {
    const std::lock_guard lock(turn);
    output = forward(model, batch, options);
  }
  for (at::Tensor* tensor : {&output.reward_BK, &output.feature_BD, &output.prefix_reward_BFK, &output.skip_BD})
    if (tensor->defined()) *tensor = tensor->cpu();
  return output;
}

std::vector<SampleOutput> compute_chunk(const RewardModel& model, data::Dataset& dataset, std::span<const int64_t> indices, const ForwardExtras& extras,
                                        std::mutex& turn) {
  std::vector<SampleOutput> outputs;
  std::map<Shape, std::vector<size_t>> groups;
  for (const int64_t index : indices) {
    outputs.push_back({.index = index, .example = dataset.get(index)});
    if (outputs.back().example) groups[shape_of(*outputs.back().example)].push_back(outputs.size() - 1);
  }
  for (const auto& [shape, members] : groups) {
    std::vector<std::shared_ptr<const data::Example>> examples;
    for (const size_t member : members) examples.push_back(outputs[member].example);
    const data::Batch batch = data::collate(examples, dataset.processor().image_config, model.config.pad_token_id.value_or(0));
    const RewardOutput output = forward_in_turn(model, to_device(prepare(model.config, batch, model.dtype), device_of(model)),
                                                {.prefix_position_BF = extras.prefix_rewards ? position_table(model, examples) : at::Tensor(),
                                                 .keep_skip = extras.skip}, turn);
    for (size_t row = 0; row < members.size(); ++row) {
      outputs[members[row]].reward_K = output.reward_BK[static_cast<int64_t>(row)];
      outputs[members[row]].feature_D = output.feature_BD[static_cast<int64_t>(row)];
      if (extras.prefix_rewards) outputs[members[row]].prefix_reward_FK = output.prefix_reward_BFK[static_cast<int64_t>(row)];
      if (extras.skip) outputs[members[row]].skip_D = output.skip_BD[static_cast<int64_t>(row)];
    }
  }
  return outputs;
}

}  // namespace

std::vector<int64_t> prefix_positions(const data::Example& example, const ModelConfig& config) {
  const auto frames = static_cast<int64_t>(example.frame_indices.size()), images = example.pixels.count();
  const auto length = static_cast<int64_t>(example.input_ids.size());
  if (frames == 0 || images % frames != 0) return {};
  const int64_t tokens = images / frames * config.perceiver.resampler_n_latents;
  std::vector<int64_t> places, positions;
  for (int64_t l = 0; l < length; ++l) {
    if (example.input_ids[static_cast<size_t>(l)] == config.image_token_id) places.push_back(l);
  }
  if (static_cast<int64_t>(places.size()) != frames * tokens) return {};
  const auto begin = example.input_ids.begin();
  std::vector<int64_t> first_text;   // of the first frame: what stands between its closing mark and the next opening one
  for (int64_t f = 0; f < frames; ++f) {
    const int64_t text = places[static_cast<size_t>((f + 1) * tokens - 1)] + 2;
    const int64_t end = f + 1 < frames ? places[static_cast<size_t>((f + 1) * tokens)] - 1 : length;
    if (end <= text) return {};
    std::vector<int64_t> between(begin + text, begin + end);
    if (f == 0) first_text = between;
    if (between != first_text) return {};
    positions.push_back(end - 1);
  }
  return positions;
}

void forward_pass(const RewardModel& model, data::Dataset& dataset, const std::vector<int64_t>& indices, int64_t batch,
                  const core::Context& context, const std::string& title,
                  const std::function<void(std::span<const SampleOutput>)>& deliver, const ForwardExtras& extras) {
  const size_t chunk = static_cast<size_t>(std::max<int64_t>(1, batch));
  core::Progress progress(title, static_cast<int64_t>(indices.size()), context.show_progress);
  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex, turn;
  std::exception_ptr first_error;
  const auto work = [&] {
    while (!stop) {
      const size_t begin = next.fetch_add(chunk);
      if (begin >= indices.size()) return;
      const size_t size = std::min(chunk, indices.size() - begin);
      try {
        const auto outputs = compute_chunk(model, dataset, {indices.data() + begin, size}, extras, turn);
        const std::lock_guard lock(mutex);
        deliver(outputs);
        progress.advance(static_cast<int64_t>(size));
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!first_error) first_error = std::current_exception();
        stop = true;
      }
    }
  };
  std::vector<std::thread> workers;
  for (int64_t w = 1; w < context.threads; ++w) workers.emplace_back(work);
  work();
  for (auto& worker : workers) worker.join();
  if (first_error) std::rethrow_exception(first_error);
}

}  // namespace mvrm::model
