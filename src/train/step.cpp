// SPDX-License-Identifier: Apache-2.0
// N samples of a step, B of a micro-batch, K evaluation dimensions, C columns of the log, M numbers of a sketch.
#include "step.h"

#include "shard_access.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <mvrm/train/pcgrad.h>

namespace mvrm::train {

namespace {

// All that a step's micro-batches share.
struct Job {
  const StepResources& with;
  const StepBatch& step;
  const StepGoal& goal;
  const std::function<bool()>& stop;
  StepLog log;
  SlotLoader loader;
  std::atomic<bool> abandoned{false};
  int64_t dimensions() const { return log.columns().dimensions; }
  int64_t objectives() const { return goal.per_dimension || goal.sketch_size > 0 ? dimensions() : 1; }
  bool reduce_each() const { return with.reduce_each && with.comm.size() > 1 && goal.sketch_size == 0; }
  SlotOrder slot_order() const { return reduce_each() ? SlotOrder::blocks : SlotOrder::interleaved; }
};

Gradients zeros_for(const Job& job) {
  const auto options = job.with.state.gradient_options();
  if (job.goal.sketch_size > 0) return {at::zeros({job.dimensions(), job.goal.sketch_size}, options.dtype(at::kDouble))};
  if (!job.reduce_each()) return zero_gradients(job.with.state.layouts(), options, job.objectives());
  Gradients parts;
  for (int64_t o = 0; o < job.objectives(); ++o)
    for (const auto& layout : job.with.state.layouts()) parts.push_back(at::zeros({layout.total / job.with.comm.size()}, options));
  return parts;
}

// Computes one micro-batch: adds its gradients (or sketch) to `gradients` and gives them back, and writes its samples' rows of the log. A slot beyond the last has no samples.
Gradients compute_slot(Job& job, int64_t slot, Gradients gradients) {
  const auto& with = job.with;
  with.comm.check_peers();
  const LoadedSlot loaded = job.loader.load(slot);
  if (loaded.rows.empty() && !with.in_step()) return gradients;
  const EngineOptions options{.dtype = with.model.dtype, .recompute = with.recompute, .per_dimension = job.objectives() > 1 || job.goal.per_dimension};
  const auto pass = [&](UnitAccess& access) { return forward_backward(with.model.config, with.model.units, with.state.layouts(), loaded.micro, options, access); };
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
  if (!loaded.rows.empty()) job.log.write(slot, loaded, loss);
  return gradients;
}

// Sums in the order of the samples: independent of ranks and micro-batches. Each row was written by one rank, so the exchange is exact.
void read_log(const Job& job, StepOutcome& outcome) {
  const LogColumns column = job.log.columns();
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

// This rank's slot number `position`; beyond its last the one behind all slots, which is empty.
int64_t slot_at(const Job& job, const TreeSum& tree, int64_t position) {
  return position < tree.count() ? tree.slot_of(tree.leaf_at(position)) : job.step.slots();
}

// Asked before each micro-batch.
bool abandons(Job& job) {
  if (!job.with.in_step() && job.stop()) job.abandoned = true;
  return job.abandoned;
}

// One running sum instead of a tree of them: the memory of one gradient, whatever the number of micro-batches.
Gradients running_sum(Job& job, const TreeSum& tree, int64_t rounds) {
  Gradients sum = zeros_for(job);
  for (int64_t position = 0; position < rounds && !abandons(job); ++position) sum = compute_slot(job, slot_at(job, tree, position), std::move(sum));
  return sum;
}

void announce_slots(Job& job, const TreeSum& tree, int64_t rounds) {
  if (job.with.state.gradient_options().device().is_cpu()) return;
  std::vector<int64_t> slots;
  for (int64_t position = 0; position < rounds; ++position) slots.push_back(slot_at(job, tree, position));
  job.loader.announce(std::move(slots));
}

Gradients sum_of_slots(Job& job) {
  const auto& with = job.with;
  TreeSum tree(job.step.slots(), with.comm.rank(), with.comm.size(), job.slot_order());
  // Every rank goes as often through the units as the one with most slots.
  const int64_t rounds = !with.in_step() || job.reduce_each() ? tree.count() : (job.step.slots() + with.comm.size() - 1) / with.comm.size();
  announce_slots(job, tree, rounds);
  if (!with.ordered && (with.in_step() || with.pool.size() == 1)) return running_sum(job, tree, rounds);
  if (with.in_step()) {
    for (int64_t position = 0; position < rounds; ++position) {
      Gradients gradients = compute_slot(job, slot_at(job, tree, position), zeros_for(job));
      if (position < tree.count()) tree.add(tree.leaf_at(position), std::move(gradients));
    }
  } else {
    std::atomic<int64_t> next{0};
    with.pool.run([&] {
      try {
        for (int64_t position = next++; position < tree.count() && !abandons(job); position = next++) {
          const int64_t leaf = tree.leaf_at(position);
          tree.add(leaf, compute_slot(job, tree.slot_of(leaf), zeros_for(job)));
        }
      } catch (...) {
        next = tree.count();   // the other workers need not begin another one
        throw;
      }
    });
  }
  if (job.abandoned) return {};
  return tree.take(tree.count() == 0 ? zeros_for(job) : Gradients{});
}

// The sum of all ranks' sketches, on every rank.
at::Tensor share_sketch(const at::Tensor& mine_KM, bool ordered, dist::Communicator& comm) {
  const int64_t part = (mine_KM.numel() + comm.size() - 1) / comm.size();
  at::Tensor flat = at::zeros({part * comm.size()}, mine_KM.options());
  flat.slice(0, 0, mine_KM.numel()).copy_(mine_KM.flatten());
  const at::Tensor sum = reduce_scatter(flat, ordered, comm);
  at::Tensor all = at::empty_like(flat);
  comm.all_gather(all, sum);
  return all.slice(0, 0, mine_KM.numel()).view_as(mine_KM);
}

}  // namespace

StepOutcome compute_step(const StepResources& with, const StepBatch& step, const StepGoal& goal, const std::function<bool()>& stop) {
  const auto count = static_cast<int64_t>(step.samples.size());
  Job job{.with = with, .step = step, .goal = goal, .stop = stop, .log = StepLog(step, with.samples.weight_NK.size(1)),
          .loader = SlotLoader(with.samples, with.model, step, with.state.gradient_options().device(), goal.factor_K)};
  Gradients sum = sum_of_slots(job);

  StepOutcome outcome;
  outcome.log_NC = job.log.table();
  outcome.data_wait_seconds = job.loader.wait_seconds();
  // The last row carries what the ranks have to agree on.
  double* agreed = outcome.log_NC.mutable_data_ptr<double>() + count * job.log.columns().count();
  agreed[0] = job.abandoned || stop() ? 1.0 : 0.0;
  agreed[1] = job.abandoned ? 1.0 : 0.0;
  with.comm.all_reduce_sum(outcome.log_NC);
  outcome.stop = agreed[0] > 0;
  outcome.abandoned = agreed[1] > 0;
  if (outcome.abandoned) return outcome;
  read_log(job, outcome);
  if (goal.sketch_size > 0) {
    outcome.sketch_KM = share_sketch(sum.front(), with.ordered, with.comm);
    return outcome;
  }
  for (auto& flat : sum) {
    outcome.gradient_parts.push_back(job.reduce_each() ? flat : reduce_scatter(flat, with.ordered, with.comm));
    flat.reset();   // from here on this rank holds its part only
    // Bad samples fall out of the divisor too.
    if (outcome.used > 0 && outcome.used < count) outcome.gradient_parts.back().mul_(static_cast<double>(count) / static_cast<double>(outcome.used));
  }
  return outcome;
}

}  // namespace mvrm::train
