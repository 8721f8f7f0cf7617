// SPDX-License-Identifier: Apache-2.0
#include <mvrm/core/error.h>
#include <mvrm/data/dataset.h>
#include <mvrm/video/frame_sampler.h>

namespace mvrm::data {

namespace {

constexpr size_t kCharactersPerToken = 4;   // of English text, about

video::ClipFacts facts_of(const Sample& sample, const Processor& processor) {
  if (!sample.video.empty()) return video::clip_facts(sample.video);
  // One picture tells the size; reading all of them would be reading the data set.
  const auto first = video::read_pictures({sample.images.front()}, processor.sample_rule).frames.front();
  return {.frames = static_cast<int64_t>(sample.images.size()), .height = first.height, .width = first.width};
}

}  // namespace

SampleSize size_of(const Sample& sample, const Processor& processor) {
  SampleSize size;
  try {
    if (sample.video.empty() && sample.images.empty()) return size;
    const video::ClipFacts facts = facts_of(sample, processor);
    const auto& rule = processor.sample_rule;
    const int64_t shown = facts.frames > 0 ? static_cast<int64_t>(video::sample_indices(rule.sampling, facts.frames, rule.max_frames).size()) : rule.max_frames;
    size.frames = processor.image_config.do_image_splitting ? 5 * shown : shown;
    const preprocess::Size resized = processor.image_config.do_resize ? preprocess::resized_size({.height = facts.height, .width = facts.width}, processor.image_config)
                                                                      : preprocess::Size{.height = facts.height, .width = facts.width};
    size.height = resized.height;
    size.width = resized.width;
  } catch (const core::DataError&) {
    return {};   // it will be a bad sample, which costs nothing
  }
  const size_t around = sample.prompt_is_complete ? 0 : text::fill(processor.prompt_template, "").size();
  size.text_tokens = static_cast<int64_t>((around + sample.prompt.size()) / kCharactersPerToken);
  return size;
}

}  // namespace mvrm::data
