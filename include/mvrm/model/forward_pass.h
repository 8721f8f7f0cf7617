// SPDX-License-Identifier: Apache-2.0
// One forward pass over many samples: what scoring and profiling share. Decoding and computing run in context.threads workers.
#pragma once
#include <functional>
#include <mvrm/core/context.h>
#include <mvrm/data/dataset.h>
#include <mvrm/model/reward_model.h>
#include <span>
#include <string>
#include <vector>

namespace mvrm::model {

struct SampleOutput {
  int64_t index = 0;                               // into the data set
  std::shared_ptr<const data::Example> example;    // nullptr: a bad sample within the allowance
  core::Tensor reward_K, feature_D;                // on the CPU; undefined for a bad sample
  core::Tensor prefix_reward_FK, skip_D;           // with ForwardExtras only; F = the sample's frames, 0 without prefix positions
};
struct ForwardExtras {
  bool prefix_rewards = false, skip = false;       // see RewardOutput
};

// Positions of the last token before the next frame, at which the head scores the clip cut there. Empty unless the frames stand at the end
// of the prompt with the same text behind each of them: only then is the prefix the prompt of the shorter clip.
std::vector<int64_t> prefix_positions(const data::Example& example, const ModelConfig& config);

// `indices` are cut into chunks of `batch`; clips of one chunk with as many frames of the same size share a forward pass, whatever the
// length of their prompts, so the numbers do not depend on the number of workers. `deliver` gets one finished chunk at a time, in any
// order of chunks, never from two threads at once. The first error of a worker is thrown here.
void forward_pass(const RewardModel& model, data::Dataset& dataset, const std::vector<int64_t>& indices, int64_t batch,
                  const core::Context& context, const std::string& title,
                  const std::function<void(std::span<const SampleOutput>)>& deliver, const ForwardExtras& extras = {});

}  // namespace mvrm::model
