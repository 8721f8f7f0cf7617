// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <ATen/ops/_fused_adamw.h>
#include <algorithm>
#include <cmath>
#include <mvrm/core/error.h>
#include <mvrm/train/train_state.h>

namespace mvrm::train {

namespace {

core::Tensor part_of(const core::Tensor& full, const dist::Communicator& comm) {
  const int64_t part = full.numel() / comm.size();
  return full.slice(0, comm.rank() * part, (comm.rank() + 1) * part);
}

struct Segments { std::vector<core::Tensor> weight, gradient, exp_avg, exp_avg_sq, step; };

}  // namespace

TrainState::TrainState(model::RewardModel& model, const dist::Communicator& comm, std::function<bool(const std::string&)> decayed, bool keep_weights)
    : model_(model), keep_weights_(keep_weights || comm.size() == 1), master_dtype_(model.dtype == at::kDouble ? at::kDouble : at::kFloat) {
  for (size_t u = 0; u < model.units.size(); ++u) {
    const auto& unit = model.units[u];
    UnitState state{.layout = layout_of(unit, comm.size()), .weights = {}, .master = {}, .exp_avg = {}, .exp_avg_sq = {}};
    const core::Tensor full = flatten(state.layout, model.parameters[u], master_dtype_);
    state.weights = model.dtype == master_dtype_ ? full : full.to(model.dtype);
    // A single rank in float32 steps on the weights themselves: no second copy.
    state.master = comm.size() == 1 && model.dtype == master_dtype_ ? state.weights : part_of(full, comm).clone();
    state.exp_avg = at::zeros_like(state.master);
    state.exp_avg_sq = at::zeros_like(state.master);
    model.parameters[u] = views_of(state.layout, unit, state.weights);
    std::vector<bool> flags;
    for (const auto& parameter : unit.parameters) flags.push_back(decayed(parameter.name));
    decayed_.push_back(std::move(flags));
    if (!keep_weights_) {   // at once: all units together would be a whole model beside the parts
      state.weights.reset();
      model.parameters[u].clear();
    }
    layouts_.push_back(state.layout);
    units_.push_back(std::move(state));
  }
}

core::Tensor TrainState::weight_part(size_t unit) const { return units_[unit].master.to(model_.dtype); }

void TrainState::free_weights() {
  if (keep_weights_) return;
  for (size_t u = 0; u < units_.size(); ++u) {
    units_[u].weights.reset();
    model_.parameters[u].clear();
  }
}

void TrainState::fetch_weights(dist::Communicator& comm) {
  if (keep_weights_) return;
  for (size_t u = 0; u < units_.size(); ++u) {
    const core::Tensor part = weight_part(u);
    units_[u].weights = at::empty({layouts_[u].total}, part.options());
    comm.all_gather(units_[u].weights, part);
    model_.parameters[u] = views(u, units_[u].weights);
  }
}

bool TrainState::is_finite() const {
  for (const auto& unit : units_) {
    if (unit.master.numel() == 0) continue;
    const auto [low, high] = at::aminmax(unit.master);   // NaN shows in both; no mask as large as the weights
    if (!std::isfinite(low.item<double>()) || !std::isfinite(high.item<double>())) return false;
  }
  return true;
}

at::TensorOptions TrainState::gradient_options() const { return units_.front().master.options(); }

double TrainState::global_norm(const Gradients& parts, dist::Communicator& comm) const {
  std::vector<core::Tensor> sums;
  for (const auto& part : parts) sums.push_back(part.view({-1, kChunk}).to(at::kDouble, /*non_blocking=*/false, /*copy=*/true).square_().sum(1));
  const core::Tensor mine = at::cat(sums).cpu();
  core::Tensor all = at::empty({comm.size() * mine.numel()}, at::kDouble);
  comm.all_gather(all, mine);
  double sum = 0;
  int64_t begin = 0;
  for (const auto& unit : sums) {   // unit by unit, in it rank by rank: the order of the flat buffers
    for (int64_t r = 0; r < comm.size(); ++r) {
      const double* chunk = all.const_data_ptr<double>() + r * mine.numel() + begin;
      for (int64_t i = 0; i < unit.numel(); ++i) sum += chunk[i];
    }
    begin += unit.numel();
  }
  return std::sqrt(sum);
}

void TrainState::update(Gradients& parts, double norm, double lr, int64_t step, const OptimizerConfig& config, dist::Communicator& comm) {
  const double factor = config.clip_norm > 0 ? std::min(1.0, config.clip_norm / (norm + 1e-6)) : 1.0;
  const core::Tensor step_count = at::full({}, static_cast<double>(step), gradient_options().dtype(at::kFloat));
  Segments group[2];   // without and with weight decay
  for (size_t u = 0; u < units_.size(); ++u) {
    auto& unit = units_[u];
    if (factor < 1.0) parts[u].mul_(factor);
    const int64_t part = unit.master.numel(), begin = comm.rank() * part;
    for (size_t i = 0; i < unit.layout.offset.size(); ++i) {
      const int64_t end = i + 1 < unit.layout.offset.size() ? unit.layout.offset[i + 1] : unit.layout.total;
      const int64_t from = std::max(unit.layout.offset[i], begin) - begin, to = std::min(end, begin + part) - begin;
      if (from >= to) continue;
      auto& segments = group[decayed_[u][i] ? 1 : 0];
      segments.weight.push_back(unit.master.slice(0, from, to));
      segments.gradient.push_back(parts[u].slice(0, from, to));
      segments.exp_avg.push_back(unit.exp_avg.slice(0, from, to));
      segments.exp_avg_sq.push_back(unit.exp_avg_sq.slice(0, from, to));
      segments.step.push_back(step_count);
    }
  }
  for (int decay = 0; decay < 2; ++decay) {
    auto& s = group[decay];
    if (s.weight.empty()) continue;
    at::_fused_adamw_(s.weight, s.gradient, s.exp_avg, s.exp_avg_sq, {}, s.step, lr, config.betas[0], config.betas[1],
                      decay == 1 ? config.weight_decay : 0.0, config.eps, /*amsgrad=*/false, /*maximize=*/false, std::nullopt, std::nullopt);
  }
  for (auto& unit : units_) share_weights(unit, comm);
}

void TrainState::share_weights(UnitState& unit, dist::Communicator& comm) {
  if (!keep_weights_ || unit.master.is_same(unit.weights)) return;
  core::Tensor mine = unit.master.to(unit.weights.scalar_type());
  if (comm.size() == 1) unit.weights.copy_(mine);
  else comm.all_gather(unit.weights, mine);
}

core::NamedTensors TrainState::parts() const {
  core::NamedTensors tensors;
  for (size_t u = 0; u < units_.size(); ++u) {
    const std::string number = std::to_string(u), unit = "u" + std::string(3 - std::min<size_t>(3, number.size()), '0') + number;
    tensors.emplace_back(unit + ".weight", units_[u].master);
    tensors.emplace_back(unit + ".exp_avg", units_[u].exp_avg);
    tensors.emplace_back(unit + ".exp_avg_sq", units_[u].exp_avg_sq);
  }
  return tensors;
}

void TrainState::restore(const std::function<void(const std::string&, int64_t, core::Tensor&)>& read, dist::Communicator& comm) {
  for (auto& [name, part] : parts()) {
    core::Tensor mine = part;
    read(name, comm.rank() * mine.numel(), mine);
  }
  for (auto& unit : units_) share_weights(unit, comm);
}

}  // namespace mvrm::train
