// SPDX-License-Identifier: Apache-2.0
// Threads that live as long as a training run, so that their memory and math-library caches stay warm from step to step.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace mvrm::train {

class WorkerPool {
 public:
  explicit WorkerPool(int64_t workers);   // >= 1, the caller's thread included
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  // Runs `job` once on every worker and waits for all; throws the first exception of a worker.
  void run(const std::function<void()>& job);
  int64_t size() const { return static_cast<int64_t>(threads_.size()) + 1; }

 private:
  void serve();
  void work(const std::function<void()>& job);
  std::mutex mutex_;
  std::condition_variable wake_, finished_;
  const std::function<void()>* job_ = nullptr;
  uint64_t round_ = 0;
  size_t busy_ = 0;
  bool closing_ = false;
  std::exception_ptr error_;
  std::vector<std::thread> threads_;
};

}  // namespace mvrm::train
