// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <algorithm>
#include <map>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/model/reward_model.h>
#include <set>
#include <system_error>

#include "config_json.h"
#include "initialise.h"
#include "weight_files.h"

namespace mvrm::model {
namespace {

namespace fs = std::filesystem;

const char* const kProcessorFiles[] = {"preprocessor_config.json", "processor_config.json", "tokenizer.model", "tokenizer.json", "prompt_template.txt",
                                       "tokenizer_config.json",    "added_tokens.json",     "special_tokens_map.json"};

// What is wrong with a checkpoint, gathered so that one run shows everything.
class Problems {
 public:
  void add(const std::string& kind, const std::string& what) { found_[kind].push_back(what); }
  void raise_if_any(const fs::path& model_dir) const {
    if (found_.empty()) return;
    std::string message = model_dir.string() + ": the weights don't fit config.json:";
    for (const auto& [kind, items] : found_) {
      message += (message.back() == ':' ? " " : "; ") + std::to_string(items.size()) + " " + kind + ": ";
      for (size_t i = 0; i < std::min(items.size(), kShown); ++i) message += (i ? ", " : "") + items[i];
      if (items.size() > kShown) message += " and " + std::to_string(items.size() - kShown) + " more";
    }
    throw core::model_error(message);
  }

 private:
  static constexpr size_t kShown = 40;
  std::map<std::string, std::vector<std::string>> found_;
};

bool is_ignored(const std::string& name, const ModelConfig& config) {
  if (name.ends_with(".rotary_emb.inv_freq")) return true;   // a buffer that old versions stored
  return !config.has_score_head && name.starts_with("lm_head.");
}

bool is_head(const std::string& name) { return name.starts_with("score."); }

// Undefined, with the reason noted, when the tensor can't be used.
core::Tensor read_parameter(const ParameterSpec& spec, const WeightFiles& weights, at::ScalarType dtype, Problems& problems) {
  const auto file = weights.file_of_tensor.find(spec.name);
  if (file == weights.file_of_tensor.end()) {
    problems.add("missing", spec.name);
    return {};
  }
  const core::TensorInfo& info = *file->second.find(spec.name);
  if (info.shape != spec.shape) {
    problems.add("misshaped", spec.name + " is " + core::shape_text(info.shape) + ", needs " + core::shape_text(spec.shape));
    return {};
  }
  if (!at::isFloatingType(info.dtype)) {
    problems.add("not floating-point", spec.name);
    return {};
  }
  const core::Tensor stored = file->second.tensor(spec.name);
  const at::ScalarType wide = stored.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  if (!stored.sum(wide).isfinite().item<bool>()) problems.add("not finite", spec.name);
  return stored.to(stored.options().dtype(dtype), /*non_blocking=*/false, /*copy=*/true);
}

void note_unexpected(const ModelConfig& config, const std::vector<Unit>& units, const WeightFiles& weights, Problems& problems) {
  std::set<std::string> expected;
  for (const Unit& unit : units)
    for (const ParameterSpec& spec : unit.parameters) expected.insert(spec.name);
  for (const auto& [name, file] : weights.file_of_tensor)
    if (!expected.contains(name) && !is_ignored(name, config)) problems.add("unexpected", name);
}

const char* dtype_name(at::ScalarType dtype) {
  switch (dtype) {
    case at::kBFloat16: return "bfloat16";
    case at::kHalf: return "float16";
    case at::kDouble: return "float64";
    default: return "float32";
  }
}

}  // namespace

RewardModel load_reward_model(const fs::path& model_dir, at::ScalarType dtype, uint64_t head_seed) {
  const at::NoGradGuard no_grad;
  RewardModel model{.config = load_model_config(model_dir), .units = {}, .parameters = {}, .dtype = dtype};
  model.units = make_units(model.config);
  const WeightFiles weights = open_weights(model_dir);
  Problems problems;
  note_unexpected(model.config, model.units, weights, problems);
  for (const Unit& unit : model.units) {
    std::vector<core::Tensor>& parameters = model.parameters.emplace_back();
    for (const ParameterSpec& spec : unit.parameters) {
      const bool draw = !model.config.has_score_head && is_head(spec.name) && !weights.file_of_tensor.contains(spec.name);
      parameters.push_back(draw ? initial_parameter(spec, model.config, dtype, head_seed) : read_parameter(spec, weights, dtype, problems));
    }
  }
  problems.raise_if_any(model_dir);
  model.config.has_score_head = true;
  return model;
}

void save_reward_model(const fs::path& model_dir, const RewardModel& model, const fs::path& processor_dir) {
  std::error_code error;
  fs::create_directories(model_dir, error);
  if (error) throw core::io_error(model_dir.string() + ": can't be created: " + error.message());
  core::NamedTensors tensors;
  for (size_t u = 0; u < model.units.size(); ++u)
    for (size_t i = 0; i < model.units[u].parameters.size(); ++i)
      tensors.emplace_back(model.units[u].parameters[i].name, model.parameters[u][i].detach().cpu().contiguous());
  core::write_safetensors(model_dir / "model.safetensors", tensors, {{"format", "pt"}});
  nlohmann::ordered_json config = config_tree(model.config);
  config["torch_dtype"] = dtype_name(model.dtype);
  core::write_file_atomic(model_dir / "config.json", config.dump(2) + "\n");
  if (processor_dir.empty() || fs::equivalent(processor_dir, model_dir, error)) return;
  for (const char* name : kProcessorFiles)
    if (fs::exists(processor_dir / name)) core::write_file_atomic(model_dir / name, core::read_file(processor_dir / name));
}

std::string model_hash(const fs::path& model_dir) {
  std::string listing = "config.json " + core::sha256_file(model_dir / "config.json") + "\n";
  for (const fs::path& path : weight_paths(model_dir)) listing += path.filename().string() + " " + core::sha256_file(path) + "\n";
  return core::sha256_hex(listing);
}

}  // namespace mvrm::model
