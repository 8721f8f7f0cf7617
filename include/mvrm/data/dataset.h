// SPDX-License-Identifier: Apache-2.0
// A manifest with the model's processor: gives model-ready examples by index, caches them in memory up to a budget,
// decodes ahead in worker threads, and holds the policy for bad samples.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <mvrm/core/context.h>
#include <mvrm/data/manifest.h>
#include <mvrm/preprocess/image_transform.h>
#include <mvrm/text/prompt.h>
#include <mvrm/video/video_reader.h>
#include <optional>
#include <set>

namespace mvrm::data {

// Everything that turns a Sample into an Example; loaded from a model directory.
struct Processor {
  text::Tokenizer tokenizer;
  text::ProcessorConfig text_config;
  text::PromptTemplate prompt_template;
  preprocess::ImageTransformConfig image_config;
  video::SampleRule sample_rule;
  int64_t max_tokens = 4096;           // right truncation; cutting an image block is a DataError
};
Processor load_processor(const std::filesystem::path& model_dir, const video::SampleRule& rule);

struct Example {
  std::string id;
  std::vector<int64_t> input_ids;
  preprocess::Pixels pixels;
  std::vector<int64_t> frame_indices;
  std::vector<float> label_K;          // NaN = none
};
class FrameCache;                      // frames on disk (src/data/frame_cache.h)
// Throws DataError with sample id, path and cause. With a cache, frames come from there and go there.
Example make_example(const Sample& sample, const Processor& processor, FrameCache* cache = nullptr);

// About what the model will see of a sample, from the headers of its files alone; all 0 where they can't be read.
struct SampleSize { int64_t frames = 0, height = 0, width = 0, text_tokens = 0; };
SampleSize size_of(const Sample& sample, const Processor& processor);

struct DatasetConfig {
  int64_t max_bad_samples = 0;         // more bad samples than this end the run (exit status 3)
  int64_t cache_bytes = int64_t{4} << 30;       // of memory
  std::filesystem::path frame_cache;            // folder of decoded frames that outlives the process; empty: none
  int64_t frame_cache_bytes = int64_t{100} << 30;
};

// Thread-safe. A bad sample is logged once, counted, and get() returns nullptr for it from then on.
class Dataset {
 public:
  Dataset(Manifest manifest, Processor processor, DatasetConfig config, core::Context context);
  ~Dataset();
  int64_t size() const;
  const Manifest& manifest() const;
  const Processor& processor() const;
  // nullptr = bad sample within the allowance; throws DataError once there are more than max_bad_samples.
  std::shared_ptr<const Example> get(int64_t index);
  // Decodes these in the background, in this order, context.threads at a time; bounded by cache_bytes.
  void prefetch(const std::vector<int64_t>& indices);
  std::vector<std::string> bad_ids() const;
  // Why get() refused this sample, as the log has it; "" where it did not.
  std::string why_bad(int64_t index) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mvrm::data
