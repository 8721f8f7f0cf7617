// SPDX-License-Identifier: Apache-2.0
// The training loop in the order in which things happen. B samples of a micro-batch, K dimensions.
#include <mvrm/train/loop.h>

#include "metrics.h"
#include "step.h"
#include "stop_signals.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/progress.h>
#include <mvrm/core/random.h>
#include <mvrm/train/checkpoint.h>
#include <mvrm/train/schedule.h>
#include <numeric>

namespace mvrm::train {

namespace {

constexpr int64_t kMaxSkippedSteps = 3;

int64_t steps_of(const LoopConfig& config, int64_t samples) {
  const int64_t all = config.epochs * ((samples + config.batch - 1) / config.batch);
  return config.max_steps > 0 ? std::min(all, config.max_steps) : all;
}

// What decides every number of the run; a checkpoint of another one is refused.
std::map<std::string, std::string> identity_of(const TrainConfig& config, const data::Dataset& dataset, const refine::RefinementPlan& plan,
                                               const model::RewardModel& model, uint64_t seed) {
  std::string weights;
  const at::Tensor weight_NK = plan.weight_NK.to(at::kFloat).contiguous();
  weights.append(static_cast<const char*>(weight_NK.const_data_ptr()), weight_NK.nbytes());
  weights.append(reinterpret_cast<const char*>(plan.keep_N.data()), plan.keep_N.size());
  std::string start;
  for (const auto& unit : model.parameters) {
    for (const auto& tensor : unit) {
      const at::Tensor bytes = tensor.contiguous();
      start += core::sha256_hex({static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes()});
    }
  }
  const auto text = [](double x) { return std::to_string(x * 1e9); };
  const auto& o = config.optimizer;
  return {{"data", dataset.manifest().hash}, {"plan", core::sha256_hex(weights)}, {"initial weights", core::sha256_hex(start)},
          {"seed", std::to_string(seed)}, {"train.epochs", std::to_string(config.train.epochs)}, {"train.batch", std::to_string(config.train.batch)},
          {"train.micro_batch", std::to_string(config.train.micro_batch)}, {"train.max_steps", std::to_string(config.train.max_steps)},
          {"optimizer", text(o.lr) + " " + text(o.betas[0]) + " " + text(o.betas[1]) + " " + text(o.eps) + " " + text(o.weight_decay) + " " + text(o.clip_norm)},
          {"schedule", config.schedule.kind + " " + text(config.schedule.warmup_ratio)}};
}

void check(const TrainConfig& config, int64_t samples) {
  if (config.optimizer.betas.size() != 2) throw core::ConfigError("optimizer.betas: must be two numbers");
  if (samples == 0) throw core::ConfigError("train: the plan keeps no sample of the data set");
}

// Where a run starts: step 0, or the step of the checkpoint that `job.resume` asks for.
int64_t starting_step(const TrainJob& job, const std::map<std::string, std::string>& identity, TrainState& state, dist::Communicator& comm,
                      const core::Context& context) {
  if (job.resume == "never") return 0;
  std::optional<std::filesystem::path> checkpoint = job.resume;
  if (job.resume == "auto") {
    // Rank 0 decides, so that nobody reads a folder that is being replaced.
    const auto found = comm.is_main() ? newest_checkpoint(job.run_dir, context.log) : std::nullopt;
    const std::string name = dist::gather_texts(comm, found ? found->string() : "").front();
    checkpoint = name.empty() ? std::nullopt : std::optional<std::filesystem::path>(name);
  }
  if (!checkpoint) return 0;
  const int64_t step = load_checkpoint(*checkpoint, identity, state, comm).step;
  if (comm.is_main()) context.log.info("resuming from " + checkpoint->string());
  return step;
}

}  // namespace

std::vector<int64_t> epoch_order(const std::vector<std::string>& ids, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(ids.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::vector<uint64_t> key;
  for (const auto& id : ids) key.push_back(core::combine64(core::combine64(core::mix64(seed), static_cast<uint64_t>(epoch)), core::hash64(id)));
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    const auto x = static_cast<size_t>(a), y = static_cast<size_t>(b);
    return key[x] != key[y] ? key[x] < key[y] : ids[x] < ids[y];
  });
  return order;
}

TrainResult train(model::RewardModel& model, data::Dataset& dataset, const refine::RefinementPlan& plan, const TrainJob& job,
                  dist::Communicator& comm, const core::Context& context) {
  const StopSignals signals;
  const TrainConfig& config = job.config;
  const Samples samples(dataset, plan);
  check(config, static_cast<int64_t>(samples.ids.size()));
  const auto identity = identity_of(config, dataset, plan, model, context.seed);
  TrainState state(model, comm);
  const int64_t total = steps_of(config.train, static_cast<int64_t>(samples.ids.size()));
  const auto batch = static_cast<size_t>(config.train.batch);
  const auto steps_per_epoch = static_cast<int64_t>((samples.ids.size() + batch - 1) / batch);

  TrainResult result{.steps = starting_step(job, identity, state, comm, context)};
  Metrics metrics(job.run_dir, result.steps, model.config.dimensions, comm.is_main());
  core::Progress progress("train", total, context.show_progress && comm.is_main());
  progress.advance(result.steps);
  std::vector<int64_t> order;
  int64_t epoch_of_order = -1, skipped = 0;
  while (result.steps < total) {
    const auto start = std::chrono::steady_clock::now();
    const int64_t epoch = result.steps / steps_per_epoch;
    if (epoch != epoch_of_order) {
      order = epoch_order(samples.ids, context.seed, epoch);
      epoch_of_order = epoch;
    }
    const auto begin = static_cast<size_t>(result.steps % steps_per_epoch) * batch;
    const StepBatch step_batch{.samples = {order.begin() + static_cast<std::ptrdiff_t>(begin),
                                           order.begin() + static_cast<std::ptrdiff_t>(std::min(begin + batch, order.size()))},
                               .micro_batch = config.train.micro_batch};
    StepOutcome outcome = compute_step(model, state, samples, step_batch, config.dist.order != "fast", comm, context);
    const double norm = state.global_norm(outcome.gradient_parts, comm);
    const double lr = learning_rate(config.schedule, config.optimizer.lr, result.steps, total);
    ++result.steps;
    const bool finite = std::isfinite(outcome.loss) && std::isfinite(norm);
    skipped = finite ? 0 : skipped + 1;
    if (finite) {
      state.update(outcome.gradient_parts, norm, lr, result.steps, config.optimizer, comm);
    } else if (skipped >= kMaxSkippedSteps) {
      throw core::Error("step " + std::to_string(result.steps) + ": loss or gradient was not finite " + std::to_string(skipped) +
                            " times in a row; samples of the last step: " + samples.list(step_batch.samples), core::ExitStatus::numeric);
    } else if (comm.is_main()) {
      context.log.warn("step " + std::to_string(result.steps) + " skipped: loss or gradient is not finite");
    }
    result.last_loss = outcome.loss;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (result.steps % config.log_every == 0 || result.steps == total) {
      metrics.write({.step = result.steps, .epoch = epoch, .lr = lr, .grad_norm = norm, .seconds = seconds, .samples = step_batch.samples.size(),
                     .skipped = !finite}, outcome);
    }
    char note[64];
    std::snprintf(note, sizeof note, "loss %.4f", outcome.loss);
    progress.advance(1, note);
    if (job.evaluate_every > 0 && result.steps % job.evaluate_every == 0 && result.steps < total) metrics.write_evaluation(result.steps, job.evaluate(model));

    result.stopped_by_signal = any_rank(signals.arrived(), comm);
    if (result.stopped_by_signal || (result.steps % config.checkpoint.every == 0 && result.steps < total)) {
      save_checkpoint(job.run_dir, {.step = result.steps, .identity = identity}, state, config.checkpoint.keep, comm);
    }
    if (result.stopped_by_signal) {
      if (comm.is_main()) context.log.info("stopped by a signal after step " + std::to_string(result.steps) + "; start the same command again to continue");
      return result;
    }
  }
  if (comm.is_main()) model::save_reward_model(job.run_dir / "model", model, job.processor_dir);
  comm.barrier();
  return result;
}

}  // namespace mvrm::train
