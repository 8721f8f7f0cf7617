// SPDX-License-Identifier: Apache-2.0
#include "steps.h"

#include <ATen/Parallel.h>
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <mvrm/core/error.h>
#include <mvrm/report/table.h>
#include <mvrm/train/stop_signals.h>
#include <thread>

namespace mvrm::experiment {

namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

size_t Steps::add(std::string name, std::vector<size_t> after, Work work) {
  for (const size_t step : after) MVRM_CHECK(step < steps_.size(), "step ", name, " waits for step ", step, ", which is not there");
  steps_.push_back({std::move(name), std::move(after), std::move(work)});
  return steps_.size() - 1;
}

void Steps::run(int64_t jobs, const core::Context& context) {
  enum class State { waiting, running, done };
  std::vector<State> state(steps_.size(), State::waiting);
  std::mutex mutex;
  std::condition_variable changed;
  std::exception_ptr error;
  size_t finished = 0;
  const train::StopSignals signals;
  const auto start = Clock::now();
  const auto next_ready = [&]() -> size_t {
    for (size_t i = 0; i < steps_.size(); ++i) {
      const auto is_done = [&](size_t j) { return state[j] == State::done; };
      if (state[i] == State::waiting && std::all_of(steps_[i].after.begin(), steps_[i].after.end(), is_done)) return i;
    }
    return steps_.size();
  };
  core::Context step_context = context;
  step_context.log = {};
  step_context.show_progress = false;
  step_context.threads = std::max<int64_t>(1, context.threads / jobs);
  const auto work = [&] {
    at::set_num_threads(1);
    std::unique_lock lock(mutex);
    while (!error && finished < steps_.size()) {
      if (signals.arrived()) {
        error = std::make_exception_ptr(core::Error("stopped; start the same command again to continue", core::ExitStatus::stopped));
        break;
      }
      const size_t i = next_ready();
      if (i == steps_.size()) {   // others are at it
        changed.wait_for(lock, std::chrono::milliseconds(200));
        continue;
      }
      state[i] = State::running;
      lock.unlock();
      const auto step_start = Clock::now();
      std::exception_ptr failure;
      try {
        steps_[i].work(step_context);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      if (failure && !error) error = failure;
      if (!failure) {
        state[i] = State::done;
        ++finished;
        const double left = seconds_since(start) / static_cast<double>(finished) * static_cast<double>(steps_.size() - finished);
        context.log.info("[" + std::to_string(finished) + "/" + std::to_string(steps_.size()) + "] " + steps_[i].name + " (" +
                         report::fixed(seconds_since(step_start), 1) + " s; about " + report::fixed(left / 60, 0) + " min left)");
      }
      changed.notify_all();
    }
    changed.notify_all();
  };
  if (jobs <= 1) {
    work();
  } else {
    std::vector<std::jthread> workers;
    for (int64_t j = 0; j < jobs; ++j) workers.emplace_back(work);
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace mvrm::experiment
