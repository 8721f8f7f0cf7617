// SPDX-License-Identifier: Apache-2.0
// The training loop in the order in which things happen.
#include <mvrm/train/loop.h>

#include "balanced_step.h"
#include "calendar.h"
#include "metrics.h"
#include "training.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <mvrm/core/error.h>
#include <mvrm/core/progress.h>
#include <mvrm/core/random.h>
#include <mvrm/dist/traffic.h>
#include <mvrm/train/checkpoint.h>
#include <mvrm/train/cost.h>
#include <mvrm/train/schedule.h>
#include <mvrm/train/stop_signals.h>
#include <numeric>

namespace mvrm::train {

namespace {

constexpr int64_t kMaxSkippedSteps = 3;
constexpr double kSchedulersWait = 25;   // seconds

void check(const TrainConfig& config, size_t samples) {
  const auto require = [](bool holds, const std::string& message) {
    if (!holds) throw core::ConfigError(message);
  };
  require(config.optimizer.betas.size() == 2, "optimizer.betas: must be two numbers");
  require(config.train.batch >= 1 && config.train.micro_batch >= 1, "train: batch and micro_batch must be at least 1");
  require(samples > 0, "train: the plan keeps no sample of the data set");
}

std::string names_of(const Samples& samples, const std::vector<int64_t>& rows) {
  constexpr size_t kShown = 20;
  std::string text;
  for (size_t i = 0; i < std::min(rows.size(), kShown); ++i) text += (i ? ", " : "") + samples.ids[static_cast<size_t>(rows[i])];
  return rows.size() > kShown ? text + " and " + std::to_string(rows.size() - kShown) + " more" : text;
}

class Trainer {
 public:
  Trainer(model::RewardModel& model, const Samples& samples, const TrainJob& job, dist::Communicator& comm, const core::Context& context)
      : model_(model), samples_(samples), job_(job), config_(job.config), comm_(comm), context_(context),
        parameters_(parameter_count(model.config)), sketch_(uses_sketch(config_.balance, parameters_, comm_.size())),
        identity_(identity_of(job.config, samples, model, context.seed, sketch_)), device_(model::device_of(model)), threads_(device_.is_cpu() ? context.threads : 1),
        scheme_(scheme_of(job.config, {.parameters = parameters_, .ranks = comm.size(), .threads = threads_, .gpu = device_.is_cuda()})),
        state_(model, comm_, is_decayed, scheme_.keep_weights), balancer_(config_.balance, samples.weight_NK.size(1), context.seed),
        pool_(threads_), calendar_(job.config.train, samples, context.seed),
        with_{.model = model, .state = state_, .samples = samples, .comm = comm_, .pool = pool_, .ordered = scheme_.ordered, .recompute = scheme_.recompute,
              .reduce_each = scheme_.reduce_each},
        writer_(job.run_dir, config_.checkpoint.keep, comm_) {}

  TrainResult run() {
    dist::require_same(comm_, identity_);
    restore();
    if (job_.begin) job_.begin();
    if (scheme_.balance_group > 0 && samples_.cost) {
      calendar_.cost_N = costs(samples_, comm_, pool_);
      calendar_.group = scheme_.balance_group;
    }
    metrics_.emplace(job_.run_dir, result_.steps, model_.config.dimensions, comm_.is_main(), config_.tensorboard);
    core::Progress progress("train", calendar_.total, context_.show_progress && comm_.is_main());
    progress.resume_at(result_.steps);
    while (result_.steps < calendar_.total) {
      prefetch_epoch();
      const auto start = std::chrono::steady_clock::now();
      comm_.take();   // what lay between the steps
      const StepBatch batch{.samples = calendar_.samples_of(result_.steps), .micro_batch = config_.train.micro_batch};
      StepOutcome outcome = compute_balanced_step(with_, batch, balancer_, result_.steps, sketch_, [&] { return signals_.arrived(); });
      writer_.check();
      if (outcome.abandoned) return stopped();
      StepLine line = apply(outcome, batch);
      if (job_.observe) job_.observe(result_.steps, line.lr, outcome.samples);
      line.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      line.traffic = comm_.take();
      const bool last = result_.steps == calendar_.total;
      if (result_.steps % config_.log_every == 0 || last) metrics_->write(line, outcome);
      char note[96];
      std::snprintf(note, sizeof note, "loss %.4f, %.3g samples/s", outcome.loss, static_cast<double>(line.samples) / line.seconds);
      progress.advance(1, note);
      if (job_.evaluate_every > 0 && result_.steps % job_.evaluate_every == 0 && !last) evaluate();
      if (outcome.stop && !last) return stopped();
      if (result_.steps % config_.checkpoint.every == 0 && !last) save(config_.checkpoint.model);
    }
    metrics_->sync();   // a run that is marked done has every line
    writer_.close();
    require_finite_weights();
    state_.fetch_weights(comm_);
    dist::while_main_works(comm_, [&] { model::save_reward_model(job_.run_dir / "model", model_, job_.processor_dir); });
    return result_;
  }

 private:
  // Step 0, or the step of the checkpoint that `resume` asks for. Rank 0 decides, so that nobody reads a folder that is being replaced.
  void restore() {
    if (comm_.is_main()) clean_checkpoints(job_.run_dir);
    if (job_.resume == "never") {
      if (comm_.is_main()) discard_checkpoints(job_.run_dir, context_.log);
      comm_.barrier();
      return;
    }
    std::string checkpoint, fault;
    dist::while_main_works(comm_, [&] {   // every byte of it is read
      if (job_.resume == "auto") {
        const auto newest = newest_checkpoint(job_.run_dir, context_.log);
        if (newest) prune_checkpoints(job_.run_dir, *newest, config_.checkpoint.keep);
        checkpoint = newest.value_or("").string();
        return;
      }
      checkpoint = job_.resume;
      try {
        verify_checkpoint(checkpoint);
      } catch (const core::Error& error) {
        fault = error.what();
      }
    });
    checkpoint = dist::gather_texts(comm_, checkpoint).front();
    fault = dist::gather_texts(comm_, fault).front();
    if (!fault.empty()) throw core::model_error(fault + "; give another checkpoint, or --resume auto for the newest that is whole");
    if (checkpoint.empty()) return;
    const CheckpointInfo info = load_checkpoint(checkpoint, identity_, state_, comm_);
    result_.steps = saved_step_ = info.step;
    updates_ = info.updates;
    not_finite_in_a_row_ = info.not_finite_in_a_row;
    balancer_.restore(info.balance);
    if (comm_.is_main()) context_.log.info("resuming from " + checkpoint);
  }

  // Tells the source which samples this rank will ask for until the epoch ends, in the order of asking.
  void prefetch_epoch() {
    const int64_t epoch = calendar_.epoch_of(result_.steps);
    if (epoch == prefetched_epoch_ || !samples_.prefetch) return;
    prefetched_epoch_ = epoch;
    std::vector<int64_t> mine;
    for (int64_t step = result_.steps; step < calendar_.total && calendar_.epoch_of(step) == epoch; ++step) {
      const StepBatch batch{.samples = calendar_.samples_of(step), .micro_batch = config_.train.micro_batch};
      const TreeSum tree(batch.slots(), comm_.rank(), comm_.size(), with_.slot_order());
      for (int64_t position = 0; position < tree.count(); ++position) {
        if (tree.slot_of(tree.leaf_at(position)) >= batch.slots()) continue;
        const auto slot = batch.of_slot(tree.slot_of(tree.leaf_at(position)));
        mine.insert(mine.end(), slot.begin(), slot.end());
      }
    }
    samples_.prefetch(mine);
  }

  // The optimiser step, unless something isn't finite: every rank sees the same numbers and decides the same.
  StepLine apply(StepOutcome& outcome, const StepBatch& batch) {
    const double norm = state_.global_norm(outcome.gradient_parts, comm_);
    StepLine line{.step = result_.steps + 1, .epoch = calendar_.epoch_of(result_.steps),
                  .lr = learning_rate(config_.schedule, config_.optimizer.lr, result_.steps, calendar_.total), .grad_norm = norm,
                  .samples = outcome.used, .tokens = outcome.tokens, .device = device_, .data_wait_seconds = outcome.data_wait_seconds,
                  .flops = 3 * outcome.flops, .peak_flops = 1e12 * config_.dist.peak_tflops * static_cast<double>(comm_.size()), .traffic = {}};
    ++result_.steps;
    result_.last_loss = outcome.loss;
    const bool finite = outcome.not_finite.empty() && std::isfinite(norm);
    line.skipped = !finite || outcome.used == 0;
    if (!line.skipped) {
      state_.update(outcome.gradient_parts, norm, line.lr, ++updates_, config_.optimizer, comm_);
      balancer_.observe(outcome.weighted_loss_K, line.lr);
      not_finite_in_a_row_ = 0;
    } else if (!finite) {
      const std::string what = "step " + std::to_string(result_.steps) + ": loss or gradient is not finite; samples: " +
                               names_of(samples_, outcome.not_finite.empty() ? batch.samples : outcome.not_finite);
      if (++not_finite_in_a_row_ >= kMaxSkippedSteps)
        throw core::Error(what + "; " + std::to_string(kMaxSkippedSteps) + " steps in a row, stopped: lower optimizer.lr or look at these samples",
                          core::ExitStatus::numeric);
      if (comm_.is_main()) context_.log.warn(what + "; the step is skipped");
    }
    return line;
  }

  void evaluate() {
    state_.fetch_weights(comm_);
    metrics_->write_evaluation(result_.steps, job_.evaluate(model_));
    state_.free_weights();
  }

  void save(bool with_model) {
    require_finite_weights();
    metrics_->sync();
    if (with_model) {
      writer_.finish();
      state_.fetch_weights(comm_);
      dist::while_main_works(comm_, [&] {
        model::save_reward_model(CheckpointWriter::folder_under_way(job_.run_dir, result_.steps) / "model", model_, job_.processor_dir);
      });
      state_.free_weights();
    }
    writer_.save({.step = result_.steps, .updates = updates_, .not_finite_in_a_row = not_finite_in_a_row_, .identity = identity_, .balance = balancer_.state()}, state_);
    saved_step_ = result_.steps;
  }

  // A step that is skipped leaves them as they were, but the one before it may have ruined them: better no model than that one.
  void require_finite_weights() {
    const auto finite = dist::gather_values(comm_, state_.is_finite() ? 1.0 : 0.0);
    if (std::all_of(finite.begin(), finite.end(), [](double yes) { return yes > 0; })) return;
    throw core::Error("step " + std::to_string(result_.steps) + ": the weights are not finite any more, so neither a checkpoint nor a model is written of them; "
                      "lower optimizer.lr and start again, from an earlier checkpoint if there is one", core::ExitStatus::numeric);
  }

  TrainResult stopped() {
    if (saved_step_ != result_.steps) save(/*with_model=*/false);   // whoever sent the signal waits
    writer_.finish();
    result_.stopped_by_signal = true;
    if (!comm_.is_main()) return result_;
    const double seconds = signals_.seconds_since_arrival();   // 0: another rank's signal
    char later[64] = "";
    if (seconds > 0) std::snprintf(later, sizeof later, " %.1f s later", seconds);
    context_.log.info("stopped by a signal after step " + std::to_string(result_.steps) + ", checkpoint written" + later + "; start the same command again to continue");
    if (seconds > kSchedulersWait)
      context_.log.warn("torchrun and Kubernetes kill 30 s after the signal; SLURM may give more time (--signal=USR1@180)");
    return result_;
  }

  model::RewardModel& model_;
  const Samples& samples_;
  const TrainJob& job_;
  const TrainConfig& config_;
  dist::CountingCommunicator comm_;
  const core::Context& context_;
  const StopSignals signals_;
  const int64_t parameters_;
  const bool sketch_;
  const std::map<std::string, std::string> identity_;   // of the weights as they come in: before state_ takes them over
  const at::Device device_;
  const int64_t threads_;   // that compute: a GPU is fed by one
  const Scheme scheme_;
  TrainState state_;
  Balancer balancer_;
  WorkerPool pool_;
  Calendar calendar_;
  StepResources with_;
  CheckpointWriter writer_;
  std::optional<Metrics> metrics_;
  TrainResult result_;
  // updates: steps that were not skipped; saved: the step of the newest checkpoint that is whole or under way
  int64_t updates_ = 0, not_finite_in_a_row_ = 0, prefetched_epoch_ = -1, saved_step_ = -1;
};

}  // namespace

std::vector<int64_t> epoch_order(const std::vector<std::string>& ids, uint64_t seed, int64_t epoch) {
  const uint64_t stream = core::combine64(core::mix64(seed), static_cast<uint64_t>(epoch));
  std::vector<uint64_t> key;
  key.reserve(ids.size());
  for (const auto& id : ids) key.push_back(core::combine64(stream, core::hash64(id)));
  std::vector<int64_t> order(ids.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    const auto x = static_cast<size_t>(a), y = static_cast<size_t>(b);
    return key[x] != key[y] ? key[x] < key[y] : ids[x] < ids[y];
  });
  return order;
}

TrainResult run_training(model::RewardModel& model, const Samples& samples, const TrainJob& job, dist::Communicator& comm,
                         const core::Context& context) {
  check(job.config, samples.ids.size());
  return Trainer(model, samples, job, comm, context).run();
}

TrainResult train(model::RewardModel& model, data::Dataset& dataset, const refine::RefinementPlan& plan, const TrainJob& job,
                  dist::Communicator& comm, const core::Context& context) {
  return run_training(model, dataset_samples(dataset, plan, model.config), job, comm, context);
}

}  // namespace mvrm::train
