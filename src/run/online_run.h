// SPDX-License-Identifier: Apache-2.0
// train.collect_influence: what the training forward sees goes to an online profile below the run directory. For rank 0, which sees all samples
// of a step, as every rank does.
#pragma once
#include <functional>
#include <memory>
#include <mvrm/core/context.h>
#include <mvrm/data/manifest.h>
#include <mvrm/influence/online_profile.h>
#include <mvrm/refine/plan.h>
#include <mvrm/run/run_config.h>
#include <mvrm/train/loop.h>
#include <string>

namespace mvrm::run {

// nullptr unless the configuration asks for it. `key` names all inputs of the run: a log of other inputs is not continued.
std::unique_ptr<influence::OnlineProfile> collect_online(const RunConfig& config, const data::Manifest& manifest, const refine::RefinementPlan& plan,
                                                         const std::string& key, const core::Context& context);
// What TrainJob::observe calls. `online` must outlive it. The log is made safe against a power failure as often as checkpoints are written.
std::function<void(int64_t step, double lr, const std::vector<train::SampleView>& samples)> observer(influence::OnlineProfile& online,
                                                                                                   const data::Manifest& manifest,
                                                                                                   const refine::RefinementPlan& plan, int64_t checkpoint_every);

}  // namespace mvrm::run
