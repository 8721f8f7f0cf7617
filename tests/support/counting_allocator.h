// SPDX-License-Identifier: Apache-2.0
// What tensors cost, to the byte: while one of these lives, torch's CPU allocator notes every allocation of the threads that joined it, by
// rank, alive and at most. Memory that was there before doesn't count; what is freed by another thread leaves the rank that took it.
#pragma once
#include <array>
#include <atomic>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <mvrm/core/error.h>
#include <unordered_map>

namespace mvrm::test {

class CountingAllocator final : public c10::Allocator {
 public:
  static constexpr size_t kRanks = 8;
  CountingAllocator() : before_(c10::GetCPUAllocator()) { c10::SetCPUAllocator(this, /*priority=*/200); }
  ~CountingAllocator() override { c10::SetCPUAllocator(before_, /*priority=*/200); }
  CountingAllocator(const CountingAllocator&) = delete;
  CountingAllocator& operator=(const CountingAllocator&) = delete;

  // The calling thread's allocations are those of `rank` from here on; -1: nobody's.
  static void join(int64_t rank) { rank_of_thread() = rank; }
  int64_t peak(int64_t rank) const { return counters()[static_cast<size_t>(rank)].peak; }
  static void reset() {
    for (auto& counter : counters()) counter.alive = counter.peak = 0;
  }

  c10::DataPtr allocate(size_t bytes) override {
    void* block = std::aligned_alloc(kAlign, (bytes / kAlign + 1) * kAlign);
    MVRM_CHECK(block != nullptr, "out of memory: ", bytes);
    const Note note{.bytes = static_cast<int64_t>(bytes), .rank = rank_of_thread()};
    {
      const std::lock_guard lock(notes().mutex);
      notes().of_block[block] = note;
    }
    add(note.rank, note.bytes);
    return {block, block, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }

 private:
  static constexpr size_t kAlign = 64;
  struct Note { int64_t bytes, rank; };
  struct Notes { std::mutex mutex; std::unordered_map<void*, Note> of_block; };
  struct Counter { std::atomic<int64_t> alive{0}, peak{0}; };
  static Notes& notes() {
    static Notes all;
    return all;
  }
  static std::array<Counter, kRanks>& counters() {
    static std::array<Counter, kRanks> all;
    return all;
  }
  static int64_t& rank_of_thread() {
    thread_local int64_t rank = -1;
    return rank;
  }
  static void add(int64_t rank, int64_t bytes) {
    if (rank < 0) return;
    Counter& counter = counters()[static_cast<size_t>(rank)];
    const int64_t alive = counter.alive += bytes;
    for (int64_t peak = counter.peak; alive > peak && !counter.peak.compare_exchange_weak(peak, alive);) {}
  }
  static void release(void* block) {
    if (block == nullptr) return;
    Note note{};
    {
      const std::lock_guard lock(notes().mutex);
      note = notes().of_block.extract(block).mapped();
    }
    add(note.rank, -note.bytes);
    std::free(block);
  }
  c10::Allocator* before_;
};

}  // namespace mvrm::test
