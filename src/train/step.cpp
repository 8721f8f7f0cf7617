// SPDX-License-Identifier: Apache-2.0
// B samples of a micro-batch, K dimensions, S slots (micro-batches) of a step.
#include "step.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <atomic>
#include <exception>
#include <mvrm/core/error.h>
#include <thread>
#include <unordered_map>

namespace mvrm::train {

Samples::Samples(data::Dataset& set, const refine::RefinementPlan& plan) : dataset(set) {
  const auto& manifest = set.manifest();
  if (plan.dimensions != manifest.dimensions) {
    throw core::DataError(manifest.path.string() + ": the plan has other dimensions than the data set");
  }
  std::unordered_map<std::string, int64_t> row_of_id;
  for (size_t n = 0; n < plan.ids.size(); ++n) row_of_id.emplace(plan.ids[n], static_cast<int64_t>(n));
  std::vector<int64_t> rows;
  for (size_t n = 0; n < manifest.samples.size(); ++n) {
    const auto& id = manifest.samples[n].id;
    const auto found = row_of_id.find(id);
    if (found == row_of_id.end()) throw core::DataError(manifest.path.string() + ": sample '" + id + "' has no row in the plan; make the plan from this data file", id);
    if (plan.keep_N[static_cast<size_t>(found->second)] == 0) continue;
    ids.push_back(id);
    index.push_back(static_cast<int64_t>(n));
    rows.push_back(found->second);
  }
  weight_NK = plan.weight_NK.to(at::kDouble).index_select(0, at::tensor(at::ArrayRef<int64_t>(rows), at::kLong));
}

std::string Samples::list(const std::vector<int64_t>& samples) const {
  std::string text;
  for (const int64_t n : samples) text += (text.empty() ? "" : ", ") + ids[static_cast<size_t>(n)];
  return text;
}

namespace {

// Slot s holds samples [s * micro_batch, …) of the step; bad samples fall out, the divisor stays.
std::optional<MicroBatch> make_micro_batch(const model::RewardModel& model, const Samples& samples, const StepBatch& step, int64_t slot) {
  const auto begin = static_cast<size_t>(slot * step.micro_batch), end = std::min(begin + static_cast<size_t>(step.micro_batch), step.samples.size());
  std::vector<std::shared_ptr<const data::Example>> examples;
  std::vector<int64_t> rows;
  for (size_t i = begin; i < end; ++i) {
    const auto n = static_cast<size_t>(step.samples[i]);
    auto example = samples.dataset.get(samples.index[n]);
    if (!example) continue;
    examples.push_back(std::move(example));
    rows.push_back(step.samples[i]);
  }
  if (examples.empty()) return std::nullopt;
  MicroBatch micro{.batch = data::collate(examples, samples.dataset.processor().image_config, model.config.pad_token_id.value_or(0)),
                   .weight_BK = samples.weight_NK.index_select(0, at::tensor(at::ArrayRef<int64_t>(rows), at::kLong)),
                   .divisor = static_cast<double>(step.samples.size()) * static_cast<double>(samples.weight_NK.size(1))};
  return micro;
}

// A row a slot: loss, sum of squares per dimension, count per dimension. Every slot is computed by one rank, so the sum over ranks is exact.
void read_log(at::Tensor& log_SC, StepOutcome& outcome, dist::Communicator& comm) {
  comm.all_reduce_sum(log_SC);
  const int64_t dimensions = (log_SC.size(1) - 1) / 2;
  std::vector<double> column(static_cast<size_t>(log_SC.size(1)), 0.0);
  const auto* log = log_SC.const_data_ptr<double>();
  for (int64_t s = 0; s < log_SC.size(0); ++s) {
    for (int64_t c = 0; c < log_SC.size(1); ++c) column[static_cast<size_t>(c)] += log[s * log_SC.size(1) + c];
  }
  outcome.loss = column[0];
  for (int64_t k = 0; k < dimensions; ++k) {
    const double count = column[static_cast<size_t>(1 + dimensions + k)];
    outcome.loss_K.push_back(count > 0 ? column[static_cast<size_t>(1 + k)] / count : 0.0);
  }
}

}  // namespace

StepOutcome compute_step(const model::RewardModel& model, const TrainState& state, const Samples& samples, const StepBatch& step, bool ordered,
                         dist::Communicator& comm, const core::Context& context) {
  const auto slots = (static_cast<int64_t>(step.samples.size()) + step.micro_batch - 1) / step.micro_batch;
  const int64_t dimensions = samples.weight_NK.size(1);
  TreeSum tree(slots, comm.rank(), comm.size());
  at::Tensor log_SC = at::zeros({slots, 1 + 2 * dimensions}, at::kDouble);
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr first_error;
  const auto work = [&] {
    at::set_num_threads(1);
    try {
      for (int64_t position = next++; position < tree.count(); position = next++) {
        const int64_t leaf = tree.leaf_at(position), slot = comm.rank() + leaf * comm.size();
        Gradients gradients = zero_gradients(state.layouts(), state.master_dtype());
        if (const auto micro = make_micro_batch(model, samples, step, slot)) {
          const MicroLoss loss = forward_backward(model.config, model.units, state.layouts(), model.parameters, *micro, model.dtype, gradients);
          auto* row = log_SC.mutable_data_ptr<double>() + slot * log_SC.size(1);
          *row++ = loss.loss;
          for (const auto& column : {loss.sum_sq_K, loss.count_K}) row = std::copy(column.begin(), column.end(), row);
        }
        tree.add(leaf, std::move(gradients));
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!first_error) first_error = std::current_exception();
      next = tree.count();
    }
  };
  std::vector<std::thread> workers;
  for (int64_t w = 1; w < std::min(context.threads, tree.count()); ++w) workers.emplace_back(work);
  work();
  for (auto& worker : workers) worker.join();
  if (first_error) std::rethrow_exception(first_error);

  StepOutcome outcome;
  const Gradients sum = tree.take(tree.count() == 0 ? zero_gradients(state.layouts(), state.master_dtype()) : Gradients{});
  for (const auto& flat : sum) outcome.gradient_parts.push_back(reduce_scatter(flat, ordered, comm));
  read_log(log_SC, outcome, comm);
  return outcome;
}

bool any_rank(bool flag, dist::Communicator& comm) {
  const auto flags = dist::gather_values(comm, flag ? 1.0 : 0.0);
  return std::any_of(flags.begin(), flags.end(), [](double f) { return f > 0; });
}

}  // namespace mvrm::train
