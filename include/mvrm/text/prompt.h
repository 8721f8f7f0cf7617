// SPDX-License-Identifier: Apache-2.0
// From a caption to the ids that the model reads: template, image placeholders, expansion (spec/idefics2.md 7, spec/videoscore.md 2).
#pragma once
#include <cstdint>
#include <filesystem>
#include <mvrm/text/tokenizer.h>
#include <string>
#include <vector>

namespace mvrm::text {

struct ProcessorConfig {               // processor_config.json + preprocessor_config.json
  int64_t image_seq_len = 64;
  bool do_image_splitting = false;
};
ProcessorConfig load_processor_config(const std::filesystem::path& model_dir);

// A prompt template with the placeholder {text_prompt} (or ${source}); empty = the text is used as it is.
struct PromptTemplate { std::string text; };
PromptTemplate videoscore_template();                                        // T-REG, spec/videoscore.md 2.2, byte for byte
// <model_dir>/prompt_template.txt when there, else videoscore_template(). Throws Error (model) when it has text without a placeholder.
PromptTemplate load_prompt_template(const std::filesystem::path& model_dir);
// Every placeholder replaced once: a caption that holds one itself stays as it is.
std::string fill(const PromptTemplate& prompt_template, const std::string& caption);

// Appends "<image> " (with the trailing space, whose token is the pooled one) for every frame without a placeholder.
// Throws DataError when the text has more placeholders than frames.
std::string add_image_placeholders(const std::string& text, int64_t frames);
// "<image>" -> fake + image_seq_len x "<image>" + fake, then adjacent fakes collapse to one.
std::string expand_images(const std::string& text, const ProcessorConfig& config);

}  // namespace mvrm::text
