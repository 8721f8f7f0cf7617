// SPDX-License-Identifier: Apache-2.0
// Loads weights: everything that is wrong is found before a byte is allocated, then tensors are converted by several threads at once, a
// piece at a time, each piece's mapped pages given back. Memory stays at the model's own size and a few pieces.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <mutex>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/model/reward_model.h>
#include <set>
#include <thread>

#include "initialise.h"
#include "weight_files.h"

namespace mvrm::model {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPieceBytes = int64_t{16} << 20;
constexpr unsigned kMaxThreads = 8;   // more wait for the disk

// What is wrong with a checkpoint, gathered so that one run shows everything.
class Problems {
 public:
  void add(const std::string& kind, const std::string& what) {
    Kind& entry = found_[kind];
    if (++entry.count <= kShown) entry.shown += (entry.count > 1 ? ", " : "") + what;
  }
  void raise_if_any(const fs::path& model_dir) const {
    if (found_.empty()) return;
    std::string message = model_dir.string() + ": the weights don't fit config.json:";
    for (const auto& [kind, entry] : found_) {
      message += (message.back() == ':' ? " " : "; ") + std::to_string(entry.count) + " " + kind + ": " + entry.shown;
      if (entry.count > kShown) message += " and " + std::to_string(entry.count - kShown) + " more";
    }
    throw core::model_error(message);
  }

 private:
  struct Kind {
    size_t count = 0;
    std::string shown;
  };
  static constexpr size_t kShown = 40;
  std::map<std::string, Kind> found_;
};

bool is_ignored(const std::string& name, const ModelConfig& config) {
  if (name.ends_with(".rotary_emb.inv_freq")) return true;   // a buffer that old versions stored
  return !config.has_score_head && name.starts_with("lm_head.");
}

bool is_drawn(const std::string& name, const ModelConfig& config, const WeightFiles& weights) {
  return !config.has_score_head && name.starts_with("score.") && !weights.file_of_tensor.contains(name);
}

void check_parameter(const ParameterSpec& spec, const WeightFiles& weights, Problems& problems) {
  const auto file = weights.file_of_tensor.find(spec.name);
  if (file == weights.file_of_tensor.end()) {
    problems.add("missing", spec.name);
    return;
  }
  const core::TensorInfo& info = *file->second.find(spec.name);
  if (info.shape != spec.shape)
    problems.add("misshaped", spec.name + " is " + core::shape_text(info.shape) + ", needs " + core::shape_text(spec.shape));
  else if (!at::isFloatingType(info.dtype))
    problems.add("not floating-point", spec.name);
}

void check_weights(const RewardModel& model, const WeightFiles& weights, const fs::path& model_dir) {
  Problems problems;
  std::set<std::string> expected;
  for (const Unit& unit : model.units)
    for (const ParameterSpec& spec : unit.parameters) {
      expected.insert(spec.name);
      if (!is_drawn(spec.name, model.config, weights)) check_parameter(spec, weights, problems);
    }
  for (const auto& [name, file] : weights.file_of_tensor)
    if (!expected.contains(name) && !is_ignored(name, model.config)) problems.add("unexpected", name);
  problems.raise_if_any(model_dir);
}

// False when a value isn't finite.
bool copy_in_pieces(const core::SafetensorsFile& file, const std::string& name, core::Tensor& target) {
  const core::Tensor stored = file.tensor(name).view({-1});
  const core::Tensor flat = target.view({-1});
  const int64_t bytes = stored.element_size(), step = kPieceBytes / bytes;
  const at::ScalarType wide = stored.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  bool finite = true;
  for (int64_t begin = 0; begin < stored.numel(); begin += step) {
    const int64_t count = std::min(step, stored.numel() - begin);
    const core::Tensor piece = stored.narrow(0, begin, count);
    finite = finite && piece.sum(wide).isfinite().item<bool>();
    flat.narrow(0, begin, count).copy_(piece);
    file.release(name, static_cast<uint64_t>(begin * bytes), static_cast<uint64_t>((begin + count) * bytes));
  }
  return finite;
}

struct Slot {
  const ParameterSpec* spec = nullptr;
  core::Tensor* target = nullptr;
  bool finite = true;
};

// Runs `work` for every slot on several threads; the first error is thrown here.
void for_each_slot(std::vector<Slot>& slots, const std::function<void(Slot&)>& work) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr first_error;
  const auto run = [&] {
    const at::NoGradGuard no_grad;   // a thread's own state
    for (size_t i = next++; i < slots.size(); i = next++) {
      try {
        work(slots[i]);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!first_error) first_error = std::current_exception();
        next = slots.size();
      }
    }
  };
  const unsigned wanted = std::clamp(std::thread::hardware_concurrency(), 1U, kMaxThreads);
  std::vector<std::thread> threads;
  for (unsigned t = 1; t < std::min<size_t>(wanted, slots.size()); ++t) threads.emplace_back(run);
  run();
  for (auto& thread : threads) thread.join();
  if (first_error) std::rethrow_exception(first_error);
}

}  // namespace

RewardModel load_reward_model(const fs::path& model_dir, at::ScalarType dtype, uint64_t head_seed, at::Device device) {
  const at::NoGradGuard no_grad;
  RewardModel model{.config = load_model_config(model_dir), .units = {}, .parameters = {}, .dtype = dtype};
  model.units = make_units(model.config);
  const WeightFiles weights = open_weights(model_dir);
  check_weights(model, weights, model_dir);
  std::vector<Slot> slots;
  model.parameters.resize(model.units.size());
  for (size_t u = 0; u < model.units.size(); ++u) {
    model.parameters[u].resize(model.units[u].parameters.size());
    for (size_t i = 0; i < model.parameters[u].size(); ++i) slots.push_back({&model.units[u].parameters[i], &model.parameters[u][i]});
  }
  for_each_slot(slots, [&](Slot& slot) {
    if (is_drawn(slot.spec->name, model.config, weights)) {
      *slot.target = initial_parameter(*slot.spec, model.config, dtype, head_seed).to(device);
      return;
    }
    *slot.target = at::empty(slot.spec->shape, at::TensorOptions().dtype(dtype).device(device));
    slot.finite = copy_in_pieces(weights.file_of_tensor.at(slot.spec->name), slot.spec->name, *slot.target);
  });
  Problems problems;
  for (const Slot& slot : slots)
    if (!slot.finite) problems.add("not finite", slot.spec->name);
  problems.raise_if_any(model_dir);
  model.config.has_score_head = true;
  return model;
}

std::string model_hash(const fs::path& model_dir) {
  std::string listing = "config.json " + core::sha256_file(model_dir / "config.json") + "\n";
  for (const fs::path& path : weight_paths(model_dir)) listing += path.filename().string() + " " + core::sha256_file(path) + "\n";
  return core::sha256_hex(listing);
}

}  // namespace mvrm::model
