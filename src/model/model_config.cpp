// SPDX-License-Identifier: Apache-2.0
#include <mvrm/model/model_config.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <mvrm/core/model_files.h>
#include <set>
#include <utility>

#include "config_json.h"
#include "config_section.h"

namespace mvrm::model {
namespace {

using nlohmann::json;

std::string text(int64_t value) { return std::to_string(value); }

constexpr std::array<std::pair<const char*, Compatibility>, 3> kCompatibilities = {
    {{"reference", Compatibility::reference}, {"hf523", Compatibility::hf523}, {"hf457", Compatibility::hf457}}};
const char* const kVideoFeedbackDimensions[] = {"visual quality", "temporal consistency", "dynamic degree", "text-to-video alignment",
                                                "factual consistency"};

Compatibility read_compatibility(const ConfigSection& root) {
  const json* value = root.find("mvrm_compatibility");
  if (!value) return Compatibility::reference;
  for (const auto& [name, mode] : kCompatibilities)
    if (*value == json(name)) return mode;
  root.fail("mvrm_compatibility", "must be one of reference, hf523, hf457, got " + ConfigSection::shown(*value));
}

VisionConfig read_vision(const ConfigSection& s) {
  VisionConfig c;
  c.hidden_size = s.integer("hidden_size", c.hidden_size);
  c.intermediate_size = s.integer("intermediate_size", c.intermediate_size);
  c.num_hidden_layers = s.integer("num_hidden_layers", c.num_hidden_layers, 1, ConfigSection::kMostLayers);
  c.num_attention_heads = s.integer("num_attention_heads", c.num_attention_heads);
  c.num_channels = s.integer("num_channels", c.num_channels);
  c.image_size = s.integer("image_size", c.image_size);
  c.patch_size = s.integer("patch_size", c.patch_size);
  c.layer_norm_eps = s.positive("layer_norm_eps", c.layer_norm_eps);
  s.expect_text("hidden_act", "gelu_pytorch_tanh");
  if (c.hidden_size % c.num_attention_heads != 0)
    s.fail("hidden_size", text(c.hidden_size) + " is no multiple of num_attention_heads " + text(c.num_attention_heads));
  if (c.num_channels != 3) s.fail("num_channels", "must be 3 (RGB), got " + text(c.num_channels));
  if (c.image_size < c.patch_size) s.fail("image_size", "is smaller than patch_size");
  return c;
}

double read_rope_theta(const ConfigSection& s) {
  const ConfigSection parameters = s.child("rope_parameters");
  parameters.expect_text("rope_type", "default");
  if (!s.is_null_or_missing("rope_scaling")) s.fail("rope_scaling", "rotary scaling isn't supported, must be null");
  return parameters.find("rope_theta") ? parameters.positive("rope_theta", 10000.0) : s.positive("rope_theta", 10000.0);
}

// `present`: keys left out of a given text_config mean Mistral's class defaults; without text_config Idefics2's own hold.
TextConfig read_text(const ConfigSection& s, bool present) {
  TextConfig c;
  c.vocab_size = s.integer("vocab_size", present ? 32000 : c.vocab_size);
  c.hidden_size = s.integer("hidden_size", c.hidden_size);
  c.intermediate_size = s.integer("intermediate_size", c.intermediate_size);
  c.num_hidden_layers = s.integer("num_hidden_layers", c.num_hidden_layers, 1, ConfigSection::kMostLayers);
  c.num_attention_heads = s.integer("num_attention_heads", c.num_attention_heads);
  c.num_key_value_heads = s.integer("num_key_value_heads", c.num_key_value_heads);
  c.max_position_embeddings = s.integer("max_position_embeddings", c.max_position_embeddings);
  c.rms_norm_eps = s.positive("rms_norm_eps", present ? 1e-6 : c.rms_norm_eps);
  c.initializer_range = s.positive("initializer_range", c.initializer_range);
  c.rope_theta = read_rope_theta(s);
  if (s.find("sliding_window") && s.find("sliding_window")->is_null()) c.sliding_window.reset();
  else c.sliding_window = s.integer("sliding_window", 4096);
  if (present) c.pad_token_id = s.is_null_or_missing("pad_token_id") ? -1 : s.integer("pad_token_id", 0, 0);
  s.expect_text("hidden_act", "silu");
  s.expect_text("model_type", "mistral");
  if (c.num_attention_heads % c.num_key_value_heads != 0)
    s.fail("num_key_value_heads",
           text(c.num_key_value_heads) + " doesn't divide num_attention_heads " + text(c.num_attention_heads));
  if (s.is_null_or_missing("head_dim")) {
    if (c.hidden_size % c.num_attention_heads != 0)
      s.fail("hidden_size", text(c.hidden_size) + " is no multiple of num_attention_heads " + text(c.num_attention_heads));
    c.head_dim = c.hidden_size / c.num_attention_heads;
  } else {
    c.head_dim = s.integer("head_dim", 0);
  }
  if (c.head_dim % 2 != 0) s.fail("head_dim", "must be even for rotary positions, got " + text(c.head_dim));
  if (c.pad_token_id >= c.vocab_size) s.fail("pad_token_id", "lies outside of vocab_size " + text(c.vocab_size));
  return c;
}

PerceiverConfig read_perceiver(const ConfigSection& s, double default_eps) {
  PerceiverConfig c;
  c.resampler_n_latents = s.integer("resampler_n_latents", c.resampler_n_latents);
  c.resampler_depth = s.integer("resampler_depth", c.resampler_depth, 1, ConfigSection::kMostLayers);
  c.resampler_n_heads = s.integer("resampler_n_heads", c.resampler_n_heads);
  c.resampler_head_dim = s.integer("resampler_head_dim", c.resampler_head_dim);
  c.num_key_value_heads = s.integer("num_key_value_heads", c.num_key_value_heads);
  c.rms_norm_eps = s.positive("rms_norm_eps", default_eps);
  s.expect_text("hidden_act", "silu");
  if (c.resampler_n_heads % c.num_key_value_heads != 0)
    s.fail("num_key_value_heads", text(c.num_key_value_heads) + " doesn't divide resampler_n_heads " + text(c.resampler_n_heads));
  return c;
}

bool is_classifier(const ConfigSection& root) {
  if (root.is_null_or_missing("architectures")) return root.find("id2label") != nullptr;
  const json& names = *root.find("architectures");
  if (!names.is_array()) root.fail("architectures", "must be a list of names, got " + ConfigSection::shown(names));
  return std::any_of(names.begin(), names.end(),
                     [](const json& name) { return name.is_string() && name.get<std::string>().ends_with("ForSequenceClassification"); });
}

std::vector<std::string> video_feedback_dimensions() {
  return {std::begin(kVideoFeedbackDimensions), std::end(kVideoFeedbackDimensions)};
}

std::vector<std::string> read_dimensions(const ConfigSection& root) {
  const ConfigSection labels = root.child("id2label");
  const json& object = root.is_null_or_missing("id2label") ? json::object() : *root.find("id2label");
  if (object.empty()) root.fail("id2label", "must name the evaluation dimensions, {\"0\": \"visual quality\", …}");
  std::vector<std::string> names;
  bool generic = true;
  for (size_t k = 0; k < object.size(); ++k) {
    const std::string key = std::to_string(k);
    const json* name = labels.find(key);
    if (!name)
      root.fail("id2label", "has " + std::to_string(object.size()) + " entries but no key \"" + key + "\"; keys must count from 0");
    if (!name->is_string() || name->get<std::string>().empty()) labels.fail(key, "must be a name, got " + ConfigSection::shown(*name));
    names.push_back(name->get<std::string>());
    generic = generic && names.back() == "LABEL_" + key;
  }
  if (std::set<std::string>(names.begin(), names.end()).size() != names.size())
    root.fail("id2label", "names a dimension twice: " + ConfigSection::shown(object));
  return generic && names.size() == std::size(kVideoFeedbackDimensions) ? video_feedback_dimensions() : names;
}

json parse_config(const std::filesystem::path& file) {
  if (!core::is_there(file))
    throw core::model_error(file.string() + ": no such file; a model directory needs config.json in Hugging Face layout");
  return core::read_model_json(file);
}

}  // namespace

ModelConfig load_model_config(const std::filesystem::path& model_dir) {
  const std::filesystem::path file = model_dir / "config.json";
  const ConfigSection root(parse_config(file), "", file);
  if (!root.find("model_type")) root.fail("model_type", "is missing; \"idefics2\" is the supported architecture");
  root.expect_text("model_type", "idefics2");
  ModelConfig config;
  config.compatibility = read_compatibility(root);
  config.vision = read_vision(root.child("vision_config"));
  config.text = read_text(root.child("text_config"), !root.is_null_or_missing("text_config"));
  // Newer libraries fall back to their own class default instead of the text model's eps.
  const double perceiver_eps = config.compatibility == Compatibility::reference ? config.text.rms_norm_eps : 1e-6;
  config.perceiver = read_perceiver(root.child("perceiver_config"), perceiver_eps);
  config.has_score_head = is_classifier(root);
  config.dimensions = config.has_score_head ? read_dimensions(root) : video_feedback_dimensions();
  config.num_labels = static_cast<int64_t>(config.dimensions.size());
  config.image_token_id = root.integer("image_token_id", config.image_token_id, 0);
  if (!root.is_null_or_missing("pad_token_id")) config.pad_token_id = root.integer("pad_token_id", 0, 0);
  for (const auto& [key, id] : {std::pair{"image_token_id", config.image_token_id}, {"pad_token_id", config.pad_token_id.value_or(0)}})
    if (id >= config.text.vocab_size)
      root.fail(key, text(id) + " lies outside of text_config.vocab_size " + text(config.text.vocab_size));
  if (config.pad_token_id == config.image_token_id) root.fail("pad_token_id", "is the same as image_token_id");
  return config;
}

namespace {

nlohmann::ordered_json text_tree(const TextConfig& t) {
  nlohmann::ordered_json tree = {
      {"model_type", "mistral"}, {"vocab_size", t.vocab_size}, {"hidden_size", t.hidden_size},
      {"intermediate_size", t.intermediate_size}, {"num_hidden_layers", t.num_hidden_layers},
      {"num_attention_heads", t.num_attention_heads}, {"num_key_value_heads", t.num_key_value_heads}, {"head_dim", t.head_dim},
      {"max_position_embeddings", t.max_position_embeddings}, {"rms_norm_eps", t.rms_norm_eps}, {"rope_theta", t.rope_theta},
      {"initializer_range", t.initializer_range}, {"hidden_act", "silu"}, {"tie_word_embeddings", false}};
  tree["sliding_window"] = t.sliding_window ? nlohmann::ordered_json(*t.sliding_window) : nlohmann::ordered_json();
  tree["pad_token_id"] = t.pad_token_id >= 0 ? nlohmann::ordered_json(t.pad_token_id) : nlohmann::ordered_json();
  return tree;
}

}  // namespace

nlohmann::ordered_json config_tree(const ModelConfig& c) {
  nlohmann::ordered_json id2label = nlohmann::ordered_json::object(), label2id = nlohmann::ordered_json::object();
  for (size_t k = 0; k < c.dimensions.size(); ++k) {
    id2label[std::to_string(k)] = c.dimensions[k];
    label2id[c.dimensions[k]] = k;
  }
  nlohmann::ordered_json root = {
      {"architectures", {c.has_score_head ? "Idefics2ForSequenceClassification" : "Idefics2ForConditionalGeneration"}},
      {"model_type", "idefics2"}, {"image_token_id", c.image_token_id}, {"id2label", id2label}, {"label2id", label2id},
      {"problem_type", "regression"}, {"tie_word_embeddings", false}};
  root["pad_token_id"] = c.pad_token_id ? nlohmann::ordered_json(*c.pad_token_id) : nlohmann::ordered_json();
  root["vision_config"] = {
      {"model_type", "idefics2_vision"}, {"hidden_size", c.vision.hidden_size}, {"intermediate_size", c.vision.intermediate_size},
      {"num_hidden_layers", c.vision.num_hidden_layers}, {"num_attention_heads", c.vision.num_attention_heads},
      {"num_channels", c.vision.num_channels}, {"image_size", c.vision.image_size}, {"patch_size", c.vision.patch_size},
      {"layer_norm_eps", c.vision.layer_norm_eps}, {"hidden_act", "gelu_pytorch_tanh"}};
  root["perceiver_config"] = {
      {"model_type", "idefics2_perceiver"}, {"hidden_size", c.text.hidden_size},
      {"resampler_n_latents", c.perceiver.resampler_n_latents}, {"resampler_depth", c.perceiver.resampler_depth},
      {"resampler_n_heads", c.perceiver.resampler_n_heads}, {"resampler_head_dim", c.perceiver.resampler_head_dim},
      {"num_key_value_heads", c.perceiver.num_key_value_heads}, {"rms_norm_eps", c.perceiver.rms_norm_eps}, {"hidden_act", "silu"}};
  root["text_config"] = text_tree(c.text);
  if (c.compatibility != Compatibility::reference)
    for (const auto& [name, mode] : kCompatibilities)
      if (mode == c.compatibility) root["mvrm_compatibility"] = name;
  return root;
}

std::string to_json(const ModelConfig& config) { return config_tree(config).dump(2) + "\n"; }

std::optional<int64_t> visible_keys(const ModelConfig& config) {
  if (!config.text.sliding_window) return std::nullopt;
  return *config.text.sliding_window + (config.compatibility == Compatibility::reference ? 1 : 0);
}

}  // namespace mvrm::model
