// SPDX-License-Identifier: Apache-2.0
// One sample from its files to what the model reads (spec/idefics2.md 7, spec/videoscore.md 2).
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/data/dataset.h>
#include <algorithm>

#include "frame_cache.h"

namespace mvrm::data {

Processor load_processor(const std::filesystem::path& model_dir, const video::SampleRule& rule) {
  return {.tokenizer = text::Tokenizer::load(model_dir),
          .text_config = text::load_processor_config(model_dir),
          .prompt_template = text::load_prompt_template(model_dir),
          .image_config = preprocess::load_image_transform(model_dir),
          .sample_rule = rule};
}

namespace {

ModelFrames frames_of(const Sample& sample, const Processor& processor) {
  video::Frames frames = sample.video.empty() ? video::read_pictures(sample.images, processor.sample_rule)
                                              : video::read_video(sample.video, processor.sample_rule);
  return {.pixels = preprocess::transform(frames, processor.image_config), .frame_indices = std::move(frames.indices)};
}

ModelFrames frames_of(const Sample& sample, const Processor& processor, FrameCache* cache) {
  const auto key = cache != nullptr ? FrameCache::key_of(sample, processor) : std::nullopt;
  if (!key) return frames_of(sample, processor);
  if (auto found = cache->find(*key)) return std::move(*found);
  ModelFrames frames = frames_of(sample, processor);
  cache->put(*key, frames);
  return frames;
}

Example process(const Sample& sample, const Processor& processor, FrameCache* cache) {
  ModelFrames frames = frames_of(sample, processor, cache);
  Example example{.id = sample.id,
                  .input_ids = {},
                  .pixels = std::move(frames.pixels),
                  .frame_indices = std::move(frames.frame_indices),
                  .label_K = sample.label_K};
  const std::string prompt = sample.prompt_is_complete ? sample.prompt : text::fill(processor.prompt_template, sample.prompt);
  const auto count = static_cast<int64_t>(example.frame_indices.size());
  example.input_ids = processor.tokenizer.encode(text::expand_images(text::add_image_placeholders(prompt, count), processor.text_config));
  if (static_cast<int64_t>(example.input_ids.size()) > processor.max_tokens)
    example.input_ids.resize(static_cast<size_t>(processor.max_tokens));
  // Counted after truncation: image tokens that were cut off would shift every later image feature.
  const int64_t image_id = processor.tokenizer.id_of("<image>");
  const int64_t marks = std::count(example.input_ids.begin(), example.input_ids.end(), image_id);
  const int64_t wanted = example.pixels.count() * processor.text_config.image_seq_len;
  if (marks != wanted) {
    throw core::DataError("the prompt holds " + std::to_string(marks) + " image tokens for " + std::to_string(wanted) +
                          " image features: it is cut at " + std::to_string(processor.max_tokens) +
                          " tokens; use fewer frames or a shorter prompt");
  }
  return example;
}

}  // namespace

Example make_example(const Sample& sample, const Processor& processor, FrameCache* cache) {
  try {
    return process(sample, processor, cache);
  } catch (const core::DataError& error) {
    throw core::DataError("sample '" + sample.id + "': " + error.what(), sample.id);
  }
}

}  // namespace mvrm::data
