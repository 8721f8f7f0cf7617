// SPDX-License-Identifier: Apache-2.0
#include "worker_pool.h"

#include <ATen/Parallel.h>
#include <utility>

namespace mvrm::train {

WorkerPool::WorkerPool(int64_t workers) {
  for (int64_t w = 1; w < workers; ++w) threads_.emplace_back([this] { serve(); });
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void WorkerPool::run(const std::function<void()>& job) {
  {
    const std::lock_guard lock(mutex_);
    job_ = &job;
    busy_ = threads_.size();
    ++round_;
  }
  wake_.notify_all();
  work(job);
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [&] { return busy_ == 0; });
  if (const std::exception_ptr error = std::exchange(error_, nullptr)) std::rethrow_exception(error);
}

void WorkerPool::serve() {
  at::set_num_threads(1);   // parallel over samples, never inside an operation (spec/training.md decision 6)
  std::unique_lock lock(mutex_);
  for (uint64_t seen = 0;;) {
    wake_.wait(lock, [&] { return closing_ || round_ != seen; });
    if (closing_) return;
    seen = round_;
    const std::function<void()>& job = *job_;
    lock.unlock();
    work(job);
    lock.lock();
    if (--busy_ == 0) finished_.notify_one();
  }
}

void WorkerPool::work(const std::function<void()>& job) {
  try {
    job();
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::current_exception();
  }
}

}  // namespace mvrm::train
