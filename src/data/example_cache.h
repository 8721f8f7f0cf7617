// SPDX-License-Identifier: Apache-2.0
// Examples in memory, never more than a budget of bytes, in two parts: examples read ahead, which leave when they are taken, and
// kept ones, which stay for the next epoch. Kept ones fill three quarters at most, so reading ahead goes on when the data doesn't fit.
// Not thread-safe.
#pragma once
#include <mvrm/data/dataset.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>

namespace mvrm::data {

using ExamplePtr = std::shared_ptr<const Example>;

class ExampleCache {
 public:
  explicit ExampleCache(int64_t budget_bytes) : budget_(budget_bytes) {}
  bool contains(int64_t index) const { return entries_.contains(index); }
  // nullptr when it isn't there. An example read ahead becomes a kept one or leaves.
  ExamplePtr take(int64_t index);
  void keep(int64_t index, const ExamplePtr& example);
  void put_ahead(int64_t index, const ExamplePtr& example);
  // What was read ahead and isn't wanted any more becomes kept or leaves: nobody will take it.
  void want_only(const std::set<int64_t>& wanted);
  // Whether `more` examples of the largest size seen so far still fit.
  bool has_room_for(int64_t more) const { return used() + more * largest_ <= budget_; }
  int64_t used() const { return kept_bytes_ + ahead_bytes_; }

 private:
  struct Entry {
    ExamplePtr example;
    bool ahead = false;
  };
  bool may_keep(int64_t bytes) const { return kept_bytes_ + bytes <= budget_ / 4 * 3 && used() + bytes <= budget_; }

  std::map<int64_t, Entry> entries_;
  int64_t budget_, kept_bytes_ = 0, ahead_bytes_ = 0, largest_ = 0;
};

int64_t bytes_of(const Example& example);

}  // namespace mvrm::data
