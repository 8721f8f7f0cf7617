// SPDX-License-Identifier: Apache-2.0
#include "shard_access.h"

#include <ATen/ATen.h>

namespace mvrm::train {

constexpr size_t kSumsUnderWay = 2;

ShardAccess::ShardAccess(const TrainState& state, const ShardOptions& options, Gradients& into, dist::Communicator& comm)
    : state_(state), options_(options), into_(into), comm_(comm), fetched_(state.layouts().size()), scratch_(into.size() / state.layouts().size()) {}

void ShardAccess::announce(size_t unit) {
  if (state_.keeps_weights() || fetched_[unit]) return;
  Fetched fetch{.part = state_.weight_part(unit), .full = {}, .arrived = {}};
  fetch.full = at::empty({state_.layouts()[unit].total}, fetch.part.options());
  fetch.arrived = comm_.start_all_gather(fetch.full, fetch.part);
  fetched_[unit] = std::move(fetch);
}

std::vector<core::Tensor> ShardAccess::parameters(size_t unit) {
  if (state_.keeps_weights()) return state_.views(unit, state_.units()[unit].weights);
  announce(unit);
  fetched_[unit]->arrived();
  return state_.views(unit, fetched_[unit]->full);
}

void ShardAccess::release(size_t unit) { fetched_[unit].reset(); }

core::Tensor ShardAccess::gradient(size_t objective, size_t unit) {
  if (!options_.reduce_each) return into_[objective * state_.layouts().size() + unit];
  if (!scratch_[objective].defined()) scratch_[objective] = at::zeros({state_.layouts()[unit].total}, state_.gradient_options());
  return scratch_[objective];
}

void ShardAccess::finished(size_t unit) {
  if (!options_.reduce_each) return;
  for (size_t o = 0; o < scratch_.size(); ++o) {
    pending_.emplace_back(o * state_.layouts().size() + unit, PendingSum(gradient(o, unit), options_.ordered, comm_));
    scratch_[o].reset();
    if (pending_.size() > kSumsUnderWay) add_oldest();
  }
}

void ShardAccess::add_oldest() {
  auto& [index, sum] = pending_.front();
  into_[index].add_(sum.take());
  pending_.pop_front();
}

void ShardAccess::finish() {
  while (!pending_.empty()) add_oldest();
}

}  // namespace mvrm::train
