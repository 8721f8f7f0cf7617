// SPDX-License-Identifier: Apache-2.0
// Examples on demand: decoded ahead of time by worker threads, kept while they fit, bad ones counted. What a caller sees depends on
// its own calls alone: a bad sample counts when get() meets it, not when a worker does.
#include <mvrm/core/error.h>
#include <mvrm/data/dataset.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "example_cache.h"
#include "frame_cache.h"

namespace mvrm::data {

struct Dataset::State {
  Manifest manifest;
  Processor processor;
  DatasetConfig config;
  core::Context context;
  std::optional<FrameCache> frame_cache;

  std::mutex mutex;  // guards everything below
  std::condition_variable work, ready;
  ExampleCache cache{config.cache_bytes};
  std::set<int64_t> in_progress;
  std::map<int64_t, core::DataError> bad;
  std::set<int64_t> reported;  // bad samples that get() was asked for
  std::deque<int64_t> queue;   // still to read ahead, in order; one that isn't in `queued` any more is skipped
  std::set<int64_t> queued;
  std::set<int64_t> wanted;  // all of the latest prefetch()
  int64_t reading_ahead = 0;
  bool closing = false;
  std::vector<std::thread> workers;

  State(Manifest all, Processor how, DatasetConfig limits, core::Context surroundings)
      : manifest(std::move(all)), processor(std::move(how)), config(std::move(limits)), context(std::move(surroundings)) {
    if (!config.frame_cache.empty()) frame_cache.emplace(config.frame_cache, config.frame_cache_bytes, context.log);
  }

  // Decodes outside of the lock, which is held again on return. nullptr = the sample is bad and now in `bad`.
  ExamplePtr decode(int64_t index, std::unique_lock<std::mutex>& lock) {
    in_progress.insert(index);
    lock.unlock();
    ExamplePtr example;
    std::optional<core::DataError> error;
    std::exception_ptr other;
    try {
      example = std::make_shared<Example>(make_example(manifest.samples[static_cast<size_t>(index)], processor, frame_cache ? &*frame_cache : nullptr));
    } catch (const core::DataError& caught) {
      error = caught;
    } catch (...) {
      other = std::current_exception();
    }
    lock.lock();
    in_progress.erase(index);
    ready.notify_all();
    if (error) bad.emplace(index, *error);
    if (other) std::rethrow_exception(other);
    return example;
  }

  bool can_read_ahead() const { return !queue.empty() && cache.has_room_for(reading_ahead + 1); }

  void read_ahead() {
    std::unique_lock lock(mutex);
    while (true) {
      work.wait(lock, [&] { return closing || can_read_ahead(); });
      if (closing) return;
      const int64_t index = queue.front();
      queue.pop_front();
      if (queued.erase(index) == 0 || cache.contains(index) || bad.contains(index) || in_progress.contains(index)) continue;
      ++reading_ahead;
      try {
        const ExamplePtr example = decode(index, lock);
        // Nobody takes what a newer list doesn't name: put ahead, it would fill the budget for good.
        if (example && wanted.contains(index))
          cache.put_ahead(index, example);
        else if (example)
          cache.keep(index, example);
      } catch (const std::exception&) {
        // get() meets the same error again and its caller hears of it.
      }
      --reading_ahead;
      work.notify_one();
    }
  }

  // The policy for bad samples.
  ExamplePtr refuse(int64_t index) {
    const core::DataError& error = bad.at(index);
    const bool fresh = reported.insert(index).second;
    const auto count = static_cast<int64_t>(reported.size());
    if (count > config.max_bad_samples) {
      throw core::DataError(std::string(error.what()) + " (bad samples: " + std::to_string(count) + ", allowed: " +
                                std::to_string(config.max_bad_samples) + "; see data.max_bad_samples, --max-bad-samples)",
                            error.sample_id());
    }
    if (fresh) context.log.warn("skipped: " + std::string(error.what()));
    return nullptr;
  }
};

Dataset::Dataset(Manifest manifest, Processor processor, DatasetConfig config, core::Context context)
    : state_(std::make_unique<State>(std::move(manifest), std::move(processor), config, std::move(context))) {}

Dataset::~Dataset() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->closing = true;
  }
  state_->work.notify_all();
  for (auto& worker : state_->workers) worker.join();
}

int64_t Dataset::size() const { return static_cast<int64_t>(state_->manifest.samples.size()); }
const Manifest& Dataset::manifest() const { return state_->manifest; }
const Processor& Dataset::processor() const { return state_->processor; }

std::shared_ptr<const Example> Dataset::get(int64_t index) {
  MVRM_CHECK(index >= 0 && index < size(), "sample ", index, " of ", size());
  State& state = *state_;
  std::unique_lock lock(state.mutex);
  state.queued.erase(index);  // reading it ahead would come too late
  state.ready.wait(lock, [&] { return !state.in_progress.contains(index); });
  ExamplePtr example = state.cache.take(index);
  if (example) {
    state.work.notify_all();
    return example;
  }
  if (!state.bad.contains(index)) example = state.decode(index, lock);
  if (!example) return state.refuse(index);
  state.cache.keep(index, example);
  return example;
}

void Dataset::prefetch(const std::vector<int64_t>& indices) {
  State& state = *state_;
  const std::lock_guard lock(state.mutex);
  state.queue.clear();
  state.queued.clear();
  for (const int64_t index : indices) {
    MVRM_CHECK(index >= 0 && index < size(), "sample ", index, " of ", size());
    if (state.queued.insert(index).second) state.queue.push_back(index);
  }
  state.wanted = state.queued;
  state.cache.want_only(state.wanted);
  while (static_cast<int64_t>(state.workers.size()) < state.context.threads) {
    state.workers.emplace_back([&state] { state.read_ahead(); });
  }
  state.work.notify_all();
}

std::string Dataset::why_bad(int64_t index) const {
  const std::lock_guard lock(state_->mutex);
  return state_->reported.contains(index) ? state_->bad.at(index).what() : "";
}

std::vector<std::string> Dataset::bad_ids() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<std::string> ids;
  for (const int64_t index : state_->reported) ids.push_back(state_->manifest.samples[static_cast<size_t>(index)].id);
  return ids;
}

}  // namespace mvrm::data
