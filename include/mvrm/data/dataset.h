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
// Throws DataError with sample id, path and cause.
Example make_example(const Sample& sample, const Processor& processor);

struct DatasetConfig {
  int64_t max_bad_samples = 0;         // more bad samples than this end the run (exit status 3)
  int64_t cache_bytes = int64_t{4} << 30;
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

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mvrm::data
