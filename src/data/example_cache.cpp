// SPDX-License-Identifier: Apache-2.0
#include "example_cache.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

namespace mvrm::data {

int64_t bytes_of(const Example& example) {
  const auto bytes = [](const at::Tensor& tensor) { return tensor.defined() ? static_cast<int64_t>(tensor.nbytes()) : 0; };
  const auto ids = static_cast<int64_t>(example.input_ids.size() * sizeof(int64_t));
  return bytes(example.pixels.levels_NCHW) + bytes(example.pixels.mask_NHW) + ids +
         static_cast<int64_t>(sizeof(Example) + example.id.size());
}

ExamplePtr ExampleCache::take(int64_t index) {
  const auto found = entries_.find(index);
  if (found == entries_.end()) return nullptr;
  ExamplePtr example = found->second.example;
  if (!found->second.ahead) return example;
  ahead_bytes_ -= bytes_of(*example);
  entries_.erase(found);
  keep(index, example);
  return example;
}

void ExampleCache::keep(int64_t index, const ExamplePtr& example) {
  const int64_t bytes = bytes_of(*example);
  largest_ = std::max(largest_, bytes);
  if (!may_keep(bytes) || !entries_.emplace(index, Entry{.example = example, .ahead = false}).second) return;
  kept_bytes_ += bytes;
}

void ExampleCache::put_ahead(int64_t index, const ExamplePtr& example) {
  const int64_t bytes = bytes_of(*example);
  largest_ = std::max(largest_, bytes);
  if (used() + bytes > budget_ || !entries_.emplace(index, Entry{.example = example, .ahead = true}).second) return;
  ahead_bytes_ += bytes;
}

void ExampleCache::want_only(const std::set<int64_t>& wanted) {
  std::vector<int64_t> unwanted;
  for (const auto& [index, entry] : entries_) {
    if (entry.ahead && !wanted.contains(index)) unwanted.push_back(index);
  }
  for (const int64_t index : unwanted) take(index);
}

}  // namespace mvrm::data
