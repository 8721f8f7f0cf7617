// SPDX-License-Identifier: Apache-2.0
// Which sample of a step goes into which slot, so that ranks have equal work (spec/training.md 3.6). A function of the costs and of when
// ranks meet: the same slots, and so in order the same sums bit for bit, on every number of ranks.
#pragma once
#include "samples.h"
#include "worker_pool.h"

#include <mvrm/dist/communicator.h>
#include <vector>

namespace mvrm::train {

// `samples` in the order of their slots, `micro_batch` to a slot. By the bits of the slot number (reduction.h): slots that agree in the low
// bits belong to one rank where gradients are summed once a step, so their costs together are made equal. Slots that agree in all but the
// highest bits are computed at the same time where sums are made every micro-batch, so `group` of them (a power of two, 1 = none) hold
// neighbours in cost. Samples of one micro-batch are neighbours too, which also spares padding.
std::vector<int64_t> dealt(const std::vector<int64_t>& samples, const std::vector<double>& cost_N, int64_t micro_batch, int64_t group);

// Of all samples, each found out by one rank and the same on all: a file that only some of them can read must not make them disagree.
// Collective.
std::vector<double> costs(const Samples& samples, dist::Communicator& comm, WorkerPool& pool);

}  // namespace mvrm::train
