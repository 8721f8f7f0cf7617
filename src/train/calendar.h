// SPDX-License-Identifier: Apache-2.0
// Which samples belong to which step, by arithmetic alone.
#pragma once
#include "dealing.h"
#include "samples.h"

#include <algorithm>
#include <mvrm/train/loop.h>

namespace mvrm::train {

struct Calendar {
  Calendar(const LoopConfig& config, const Samples& all, uint64_t run_seed) : samples(all), batch(config.batch), micro_batch(config.micro_batch), seed(run_seed) {
    const auto count = static_cast<int64_t>(samples.ids.size());
    steps_per_epoch = (count + batch - 1) / batch;
    total = config.epochs * steps_per_epoch;
    if (config.max_steps > 0) total = std::min(total, config.max_steps);
  }
  // Of step number `step`, from 0; the last batch of an epoch may be short. With costs, dealt by them.
  std::vector<int64_t> samples_of(int64_t step) {
    if (epoch_of(step) != epoch) {
      epoch = epoch_of(step);
      order = epoch_order(samples.ids, seed, epoch);
    }
    const int64_t begin = step % steps_per_epoch * batch, end = std::min(begin + batch, static_cast<int64_t>(order.size()));
    const std::vector<int64_t> taken(order.begin() + begin, order.begin() + end);
    return cost_N.empty() ? taken : dealt(taken, cost_N, micro_batch, group);
  }
  int64_t epoch_of(int64_t step) const { return step / steps_per_epoch; }

  const Samples& samples;
  int64_t batch, micro_batch, steps_per_epoch = 0, total = 0, epoch = -1;
  uint64_t seed;
  std::vector<int64_t> order;
  std::vector<double> cost_N;   // by sample; empty: every step in the order of the epoch
  int64_t group = 1;            // dealing.h
};

}  // namespace mvrm::train
