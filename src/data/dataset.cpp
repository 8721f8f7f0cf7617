// SPDX-License-Identifier: Apache-2.0
// Examples on demand: decoded once while they fit the budget, ahead of time by worker threads, bad ones counted.
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <mvrm/core/error.h>
#include <mvrm/data/dataset.h>
#include <set>
#include <thread>

namespace mvrm::data {

struct Dataset::State {
  Manifest manifest;
  Processor processor;
  DatasetConfig config;
  core::Context context;

  std::mutex mutex;
  std::condition_variable work, ready;
  std::map<int64_t, std::shared_ptr<const Example>> cache;
  std::set<int64_t> in_progress;
  std::map<int64_t, core::DataError> bad;
  std::set<int64_t> reported;   // bad samples that get() was asked for: only these count, whatever workers found ahead of time
  std::deque<int64_t> queue;
  int64_t cached_bytes = 0;
  bool closing = false;
  std::vector<std::thread> workers;

  static int64_t bytes_of(const Example& example) {
    const auto& pixels = example.pixels;
    return static_cast<int64_t>((pixels.levels_NCHW.defined() ? pixels.levels_NCHW.nbytes() : 0) + (pixels.mask_NHW.defined() ? pixels.mask_NHW.nbytes() : 0) +
                                example.input_ids.size() * sizeof(int64_t) + 1024);
  }

  // Decodes outside the lock; `lock` is held again on return. Full cache: the example is given but not kept.
  std::shared_ptr<const Example> decode(int64_t index, std::unique_lock<std::mutex>& lock) {
    in_progress.insert(index);
    lock.unlock();
    std::shared_ptr<const Example> example;
    std::optional<core::DataError> error;
    std::exception_ptr other;
    try {
      example = std::make_shared<Example>(make_example(manifest.samples[static_cast<size_t>(index)], processor));
    } catch (const core::DataError& caught) {
      error = caught;
    } catch (...) {
      other = std::current_exception();
    }
    lock.lock();
    in_progress.erase(index);
    if (error) bad.emplace(index, *error);
    if (example && cached_bytes + bytes_of(*example) <= config.cache_bytes && cache.emplace(index, example).second) cached_bytes += bytes_of(*example);
    ready.notify_all();
    if (other) std::rethrow_exception(other);
    return example;
  }

  void decode_ahead() {
    std::unique_lock lock(mutex);
    while (true) {
      work.wait(lock, [&] { return closing || (!queue.empty() && cached_bytes < config.cache_bytes); });
      if (closing) return;
      const int64_t index = queue.front();
      queue.pop_front();
      if (cache.contains(index) || bad.contains(index) || in_progress.contains(index)) continue;
      try {
        decode(index, lock);
      } catch (const std::exception&) {
        // The caller of get() meets the same error and reports it.
      }
    }
  }
};

Dataset::Dataset(Manifest manifest, Processor processor, DatasetConfig config, core::Context context)
    : state_(new State{.manifest = std::move(manifest), .processor = std::move(processor), .config = config, .context = std::move(context)}) {}

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
  std::unique_lock lock(state_->mutex);
  state_->ready.wait(lock, [&] { return !state_->in_progress.contains(index); });
  if (const auto found = state_->cache.find(index); found != state_->cache.end()) return found->second;
  if (!state_->bad.contains(index)) {
    if (auto example = state_->decode(index, lock)) return example;
  }
  const core::DataError error = state_->bad.at(index);
  const bool fresh = state_->reported.insert(index).second;
  const auto count = static_cast<int64_t>(state_->reported.size());
  if (count > state_->config.max_bad_samples) {
    if (state_->config.max_bad_samples == 0) throw error;
    throw core::DataError(std::string(error.what()) + " (" + std::to_string(count) + " bad samples, data.max_bad_samples is " +
                          std::to_string(state_->config.max_bad_samples) + ")", error.sample_id());
  }
  if (fresh) state_->context.log.warn("skipped: " + std::string(error.what()));
  return nullptr;
}

void Dataset::prefetch(const std::vector<int64_t>& indices) {
  const std::lock_guard lock(state_->mutex);
  state_->queue.assign(indices.begin(), indices.end());
  while (static_cast<int64_t>(state_->workers.size()) < state_->context.threads) {
    state_->workers.emplace_back([state = state_.get()] { state->decode_ahead(); });
  }
  state_->work.notify_all();
}

std::vector<std::string> Dataset::bad_ids() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<std::string> ids;
  for (const int64_t index : state_->reported) ids.push_back(state_->manifest.samples[static_cast<size_t>(index)].id);
  return ids;
}

}  // namespace mvrm::data
