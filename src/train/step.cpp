// SPDX-License-Identifier: Apache-2.0
// N samples of a step, B of a micro-batch, K evaluation dimensions, C columns of the log, M numbers of a sketch.
#include "step.h"

#include "shard_access.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <chrono>
#include <mvrm/core/error.h>
#include <mvrm/train/cost.h>
#include <mvrm/train/pcgrad.h>

namespace mvrm::train {

std::vector<int64_t> StepBatch::of_slot(int64_t slot) const {
  const auto begin = static_cast<size_t>(slot * micro_batch), end = std::min(begin + static_cast<size_t>(micro_batch), samples.size());
  return {samples.begin() + static_cast<std::ptrdiff_t>(begin), samples.begin() + static_cast<std::ptrdiff_t>(end)};
}

namespace {

// Columns of the log, a row a sample: used, loss, residual^2 by dimension, labelled by dimension, reward by dimension, ||feature||^2, tokens,
// operations of a forward pass.
struct Columns {
  int64_t dimensions;
  int64_t loss() const { return 1; }
  int64_t square() const { return 2; }
  int64_t labelled() const { return 2 + dimensions; }
  int64_t reward() const { return 2 + 2 * dimensions; }
  int64_t norm() const { return 2 + 3 * dimensions; }
  int64_t tokens() const { return 3 + 3 * dimensions; }
  int64_t flops() const { return 4 + 3 * dimensions; }
  int64_t count() const { return 5 + 3 * dimensions; }
};

// All that a step's micro-batches share.
struct Job {
  const StepResources& with;
  const StepBatch& step;
  const StepGoal& goal;
  Columns column;
  at::Tensor log_NC;
  std::atomic<int64_t> wait_nanoseconds{0};
  int64_t objectives() const { return goal.per_dimension || goal.sketch_size > 0 ? column.dimensions : 1; }
  bool reduce_each() const { return with.reduce_each && with.comm.size() > 1 && goal.sketch_size == 0; }
  SlotOrder slot_order() const { return reduce_each() ? SlotOrder::blocks : SlotOrder::interleaved; }
};

Gradients zeros_for(const Job& job) {
  if (job.goal.sketch_size > 0) return {at::zeros({job.column.dimensions, job.goal.sketch_size}, at::kDouble)};
  const auto options = job.with.state.gradient_options();
  if (!job.reduce_each()) return zero_gradients(job.with.state.layouts(), options, job.objectives());
  Gradients parts;
  for (int64_t o = 0; o < job.objectives(); ++o)
    for (const auto& layout : job.with.state.layouts()) parts.push_back(at::zeros({layout.total / job.with.comm.size()}, options));
  return parts;
}

// The micro-batch of `slot`; without ids when there is none, or nothing of it can be used.
MicroBatch load_slot(Job& job, int64_t slot, const std::vector<int64_t>& wanted, std::vector<int64_t>& rows) {
  MicroBatch micro;
  if (wanted.empty()) return micro;
  const auto start = std::chrono::steady_clock::now();
  LoadedBatch loaded = job.with.samples.load(wanted);
  job.wait_nanoseconds += std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
  rows = std::move(loaded.rows);
  if (rows.empty()) return micro;
  micro.batch = std::move(loaded.batch);
  micro.weight_BK = job.with.samples.weight_NK.index_select(0, at::tensor(at::ArrayRef<int64_t>(rows), at::kLong));
  if (job.goal.factor_K) micro.weight_BK = micro.weight_BK * at::tensor(job.goal.factor_K(slot), at::kDouble);
  micro.divisor = static_cast<double>(job.step.samples.size()) * static_cast<double>(job.column.dimensions);
  return micro;
}

// Of every row of a batch, [B, 1].
at::Tensor flops_of_rows(const model::ModelConfig& config, const data::Batch& batch, const at::Tensor& tokens_B1) {
  const at::Tensor image_tokens_B = (batch.input_ids_BL == config.image_token_id).sum(1).cpu();
  at::Tensor flops_B1 = at::empty({batch.size(), 1}, at::kDouble);
  for (int64_t b = 0; b < batch.size(); ++b) {
    ClipShape clip{.frames = image_tokens_B[b].item<int64_t>() / config.perceiver.resampler_n_latents, .height = 0, .width = 0,
                   .tokens = static_cast<int64_t>(tokens_B1[b].item<double>())};
    if (batch.pixels_RCHW.defined()) clip.height = batch.pixels_RCHW.size(2), clip.width = batch.pixels_RCHW.size(3);
    flops_B1[b] = flops_of(config, clip).forward();
  }
  return flops_B1;
}

void write_log(Job& job, int64_t slot, const std::vector<int64_t>& wanted, const std::vector<int64_t>& rows, const MicroBatch& micro, const MicroLoss& loss) {
  const at::Tensor norm_B1 = loss.feature_BD.to(at::kDouble).square().sum(1, true).cpu();
  const at::Tensor tokens_B1 = micro.batch.attention_mask_BL.sum(1, true).to(at::kDouble).cpu();
  const at::Tensor line_BC = at::cat({at::ones_like(norm_B1), loss.row_BC, loss.reward_BK.to(at::kDouble).cpu(), norm_B1, tokens_B1,
                                      flops_of_rows(job.with.model.config, micro.batch, tokens_B1)}, 1);
  MVRM_CHECK(line_BC.size(1) == job.column.count(), "a log of ", line_BC.size(1), " columns");
  size_t row = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (row == rows.size() || wanted[i] != rows[row]) continue;   // a bad sample
    double* to = job.log_NC.mutable_data_ptr<double>() + (slot * job.step.micro_batch + static_cast<int64_t>(i)) * job.column.count();
    std::copy_n(line_BC.const_data_ptr<double>() + static_cast<int64_t>(row++) * job.column.count(), job.column.count(), to);
  }
}

// Computes one micro-batch: adds its gradients (or sketch) to `gradients` and gives them back, and writes its samples' rows of the log. A slot beyond the last has no samples.
Gradients compute_slot(Job& job, int64_t slot, Gradients gradients) {
  const auto& with = job.with;
  const std::vector<int64_t> wanted = slot < job.step.slots() ? job.step.of_slot(slot) : std::vector<int64_t>{};
  std::vector<int64_t> rows;
  const MicroBatch micro = load_slot(job, slot, wanted, rows);
  if (rows.empty() && !with.in_step()) return gradients;
  const EngineOptions options{.dtype = with.model.dtype, .recompute = with.recompute, .per_dimension = job.objectives() > 1 || job.goal.per_dimension};
  const auto pass = [&](UnitAccess& access) { return forward_backward(with.model.config, with.model.units, with.state.layouts(), micro, options, access); };
  const auto sketched = [&](UnitAccess& inner) {
    return SketchAccess(inner, with.state.layouts(), with.state.gradient_options(), head_rows(with.model.units.back(), with.state.layouts().back()), gradients.front());
  };
  Gradients none;
  Gradients& into = job.goal.sketch_size > 0 ? none : gradients;
  MicroLoss loss;
  if (with.in_step()) {
    ShardAccess shared(with.state, {.reduce_each = job.reduce_each(), .ordered = with.ordered}, into, with.comm);
    if (job.goal.sketch_size > 0) {
      auto sketch = sketched(shared);
      loss = pass(sketch);
    } else {
      loss = pass(shared);
    }
    shared.finish();
  } else {
    LocalAccess local(with.model.parameters, into);
    if (job.goal.sketch_size > 0) {
      auto sketch = sketched(local);
      loss = pass(sketch);
    } else {
      loss = pass(local);
    }
  }
  if (!rows.empty()) write_log(job, slot, wanted, rows, micro, loss);
  return gradients;
}

// Sums in the order of the samples: independent of ranks and micro-batches. Each row was written by one rank, so the exchange is exact.
void read_log(const Job& job, StepOutcome& outcome) {
  const Columns column = job.column;
  const auto columns = static_cast<size_t>(column.count()), dimensions = static_cast<size_t>(column.dimensions);
  std::vector<double> sum(columns, 0.0), weighted_K(dimensions, 0.0);
  const double* row = outcome.log_NC.const_data_ptr<double>();
  const double* weight = job.with.samples.weight_NK.const_data_ptr<double>();
  for (const int64_t sample : job.step.samples) {
    for (size_t c = 0; c < columns; ++c) sum[c] += row[c];
    for (size_t k = 0; k < dimensions; ++k) weighted_K[k] += weight[static_cast<size_t>(sample) * dimensions + k] * row[static_cast<size_t>(column.square()) + k];
    if (!std::isfinite(row[column.loss()])) outcome.not_finite.push_back(sample);
    if (row[0] > 0) outcome.samples.push_back({.sample = sample, .reward_K = row + column.reward(), .feature_sq_norm = row[column.norm()]});
    row += columns;
  }
  outcome.used = static_cast<int64_t>(sum[0]);
  outcome.tokens = static_cast<int64_t>(sum[static_cast<size_t>(column.tokens())]);
  outcome.flops = sum[static_cast<size_t>(column.flops())];
  outcome.loss = outcome.used == 0 ? 0.0 : sum[1] / (sum[0] * static_cast<double>(dimensions));
  for (size_t k = 0; k < dimensions; ++k) {
    const double count = sum[static_cast<size_t>(column.labelled()) + k];
    outcome.loss_K.push_back(count > 0 ? sum[static_cast<size_t>(column.square()) + k] / count : 0.0);
    outcome.weighted_loss_K.push_back(outcome.used > 0 ? weighted_K[k] / sum[0] : 0.0);
  }
}

// One running sum instead of a tree of them: the memory of one gradient, whatever the number of micro-batches.
Gradients running_sum(Job& job, const TreeSum& tree, int64_t rounds) {
  Gradients sum = zeros_for(job);
  for (int64_t position = 0; position < rounds; ++position)
    sum = compute_slot(job, position < tree.count() ? tree.slot_of(tree.leaf_at(position)) : job.step.slots(), std::move(sum));
  return sum;
}

Gradients sum_of_slots(Job& job) {
  const auto& with = job.with;
  TreeSum tree(job.step.slots(), with.comm.rank(), with.comm.size(), job.slot_order());
  // Every rank goes as often through the units as the one with most slots.
  const int64_t rounds = !with.in_step() || job.reduce_each() ? tree.count() : (job.step.slots() + with.comm.size() - 1) / with.comm.size();
  if (!with.ordered && (with.in_step() || with.pool.size() == 1)) return running_sum(job, tree, rounds);
  if (with.in_step()) {
    for (int64_t position = 0; position < rounds; ++position) {
      if (position < tree.count()) tree.add(tree.leaf_at(position), compute_slot(job, tree.slot_of(tree.leaf_at(position)), zeros_for(job)));
      else compute_slot(job, job.step.slots(), zeros_for(job));
    }
  } else {
    std::atomic<int64_t> next{0};
    with.pool.run([&] {
      try {
        for (int64_t position = next++; position < tree.count(); position = next++) {
          const int64_t leaf = tree.leaf_at(position);
          tree.add(leaf, compute_slot(job, tree.slot_of(leaf), zeros_for(job)));
        }
      } catch (...) {
        next = tree.count();   // the other workers need not begin another one
        throw;
      }
    });
  }
  return tree.take(tree.count() == 0 ? zeros_for(job) : Gradients{});
}

// The sum of all ranks' sketches, on every rank.
at::Tensor share_sketch(const at::Tensor& mine_KM, bool ordered, dist::Communicator& comm) {
  const int64_t part = (mine_KM.numel() + comm.size() - 1) / comm.size();
  at::Tensor flat = at::zeros({part * comm.size()}, at::kDouble);
  flat.slice(0, 0, mine_KM.numel()).copy_(mine_KM.flatten());
  const at::Tensor sum = reduce_scatter(flat, ordered, comm);
  at::Tensor all = at::empty_like(flat);
  comm.all_gather(all, sum);
  return all.slice(0, 0, mine_KM.numel()).view_as(mine_KM);
}

}  // namespace

StepOutcome compute_step(const StepResources& with, const StepBatch& step, const StepGoal& goal, const std::function<bool()>& stop) {
  const auto count = static_cast<int64_t>(step.samples.size());
  const Columns column{with.samples.weight_NK.size(1)};
  // The last row carries what the ranks have to agree on.
  Job job{.with = with, .step = step, .goal = goal, .column = column, .log_NC = at::zeros({count + 1, column.count()}, at::kDouble)};
  const Gradients sum = sum_of_slots(job);

  StepOutcome outcome;
  outcome.log_NC = job.log_NC;
  outcome.data_wait_seconds = 1e-9 * static_cast<double>(job.wait_nanoseconds.load());
  double& stop_cell = outcome.log_NC.mutable_data_ptr<double>()[count * column.count()];
  stop_cell = stop() ? 1.0 : 0.0;
  with.comm.all_reduce_sum(outcome.log_NC);
  outcome.stop = outcome.log_NC.const_data_ptr<double>()[count * column.count()] > 0;
  read_log(job, outcome);
  if (goal.sketch_size > 0) {
    outcome.sketch_KM = share_sketch(sum.front(), with.ordered, with.comm);
    return outcome;
  }
  for (const auto& flat : sum) {
    outcome.gradient_parts.push_back(job.reduce_each() ? flat : reduce_scatter(flat, with.ordered, with.comm));
    // Bad samples fall out of the divisor too.
    if (outcome.used > 0 && outcome.used < count) outcome.gradient_parts.back().mul_(static_cast<double>(count) / static_cast<double>(outcome.used));
  }
  return outcome;
}

}  // namespace mvrm::train
