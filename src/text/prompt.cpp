// SPDX-License-Identifier: Apache-2.0
#include <mvrm/core/error.h>
#include <mvrm/core/model_files.h>
#include <mvrm/text/prompt.h>
#include <nlohmann/json.hpp>

namespace mvrm::text {

namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

constexpr const char* kImage = "<image>";
constexpr const char* kFake = "<fake_token_around_image>";

// T-REG of spec/videoscore.md 2.2; the space after "sub-score," and the line feeds at both ends belong to it.
constexpr const char* kVideoScoreTemplate =
    "\n"
    "Suppose you are an expert in judging and evaluating the quality of AI-generated videos,\n"
    "please watch the following frames of a given video and see the text prompt for generating the video,\n"
    "then give scores from 5 different dimensions:\n"
    "(1) visual quality: the quality of the video in terms of clearness, resolution, brightness, and color\n"
    "(2) temporal consistency, both the consistency of objects or humans and the smoothness of motion or movements\n"
    "(3) dynamic degree, the degree of dynamic changes\n"
    "(4) text-to-video alignment, the alignment between the text prompt and the video content\n"
    "(5) factual consistency, the consistency of the video content with the common-sense and factual knowledge\n"
    "\n"
    "for each dimension, output a float number from 1.0 to 4.0,\n"
    "the higher the number is, the better the video performs in that sub-score, \n"
    "the lowest 1.0 means Bad, the highest 4.0 means Perfect/Real (the video is like a real video)\n"
    "Here is an output example:\n"
    "visual quality: 3.2\n"
    "temporal consistency: 2.7\n"
    "dynamic degree: 4.0\n"
    "text-to-video alignment: 2.3\n"
    "factual consistency: 1.8\n"
    "\n"
    "For this video, the text prompt is \"{text_prompt}\",\n"
    "all the frames of video are as follows:\n";

int64_t count_of(const std::string& text, const std::string& what) {
  int64_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size())) ++count;
  return count;
}

// Left to right, once: what is put in is not looked at again.
std::string replace_all(const std::string& text, const std::string& what, const std::string& with) {
  std::string result;
  size_t begin = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, begin)) {
    result.append(text, begin, at - begin).append(with);
    begin = at + what.size();
  }
  return result.append(text, begin);
}

template <class T> void read_key(const fs::path& path, const char* key, T& value) {
  if (!core::is_there(path)) return;
  const Json object = core::read_model_json(path);
  if (!object.contains(key)) return;
  const bool fits = std::is_same_v<T, bool> ? object[key].is_boolean() : object[key].is_number_integer();
  if (!fits) throw core::model_error(path.string() + ": '" + key + "' has a value of the wrong type");
  value = object[key].get<T>();
}

}  // namespace

ProcessorConfig load_processor_config(const fs::path& model_dir) {
  ProcessorConfig config;
  read_key(model_dir / "processor_config.json", "image_seq_len", config.image_seq_len);
  read_key(model_dir / "preprocessor_config.json", "do_image_splitting", config.do_image_splitting);
  if (config.image_seq_len < 1 || config.image_seq_len > 4096) {
    throw core::model_error((model_dir / "processor_config.json").string() + ": image_seq_len must be 1..4096");
  }
  return config;
}

PromptTemplate videoscore_template() { return {kVideoScoreTemplate}; }

PromptTemplate load_prompt_template(const fs::path& model_dir) {
  const auto path = model_dir / "prompt_template.txt";
  if (!core::is_there(path)) return videoscore_template();
  PromptTemplate prompt_template{core::read_model_file(path, 1 << 20)};
  if (prompt_template.text.empty()) return prompt_template;
  if (count_of(prompt_template.text, "{text_prompt}") + count_of(prompt_template.text, "${source}") == 0) {
    throw core::model_error(path.string() + ": has no placeholder {text_prompt} for the caption; leave the file empty to use captions as they are");
  }
  return prompt_template;
}

std::string fill(const PromptTemplate& prompt_template, const std::string& caption) {
  if (prompt_template.text.empty()) return caption;
  const char* placeholder = prompt_template.text.find("{text_prompt}") != std::string::npos ? "{text_prompt}" : "${source}";
  return replace_all(prompt_template.text, placeholder, caption);
}

std::string add_image_placeholders(const std::string& text, int64_t frames) {
  const int64_t present = count_of(text, kImage);
  if (present > frames) {
    throw core::DataError("the prompt has " + std::to_string(present) + " <image> placeholders for " + std::to_string(frames) + " frames");
  }
  std::string result = text;
  for (int64_t i = present; i < frames; ++i) result += std::string(kImage) + " ";
  return result;
}

std::string expand_images(const std::string& text, const ProcessorConfig& config) {
  std::string block = kFake;
  for (int64_t i = 0; i < config.image_seq_len; ++i) block += kImage;
  block += kFake;
  std::string image;
  for (int i = 0; i < (config.do_image_splitting ? 5 : 1); ++i) image += block;
  return replace_all(replace_all(text, kImage, image), std::string(kFake) + kFake, kFake);
}

}  // namespace mvrm::text
