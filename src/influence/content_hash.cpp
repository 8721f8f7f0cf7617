// SPDX-License-Identifier: Apache-2.0
#include "content_hash.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <mvrm/core/files.h>
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <thread>
#include <vector>

namespace mvrm::influence {

namespace {

constexpr size_t kBlock = 1 << 20, kLanes = 8, kWord = sizeof(uint64_t);

// Eight independent chains of multiplications, so that none waits for another.
uint64_t hash_block(const unsigned char* bytes, size_t size) {
  uint64_t lanes[kLanes];
  for (size_t i = 0; i < kLanes; ++i) lanes[i] = 0x9e3779b97f4a7c15ULL * (i + 1);
  size_t at = 0;
  for (; at + kLanes * kWord <= size; at += kLanes * kWord) {
    uint64_t words[kLanes];
    std::memcpy(words, bytes + at, sizeof words);
    for (size_t i = 0; i < kLanes; ++i) lanes[i] = std::rotl((lanes[i] ^ words[i]) * 0xbf58476d1ce4e5b9ULL, 29);
  }
  uint64_t hash = size;
  for (; at < size; ++at) hash = std::rotl((hash ^ bytes[at]) * 0x94d049bb133111ebULL, 31);
  for (const uint64_t lane : lanes) hash = std::rotl((hash ^ lane) * 0x94d049bb133111ebULL, 31);
  return hash;
}

}  // namespace

std::string content_hash(const at::Tensor& table) {
  const at::Tensor packed = table.contiguous();
  const auto* bytes = static_cast<const unsigned char*>(packed.const_data_ptr());
  const size_t size = packed.nbytes(), blocks = (size + kBlock - 1) / kBlock;
  std::vector<uint64_t> hashes(blocks);
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t block = next++; block < blocks; block = next++) hashes[block] = hash_block(bytes + block * kBlock, std::min(kBlock, size - block * kBlock));
  };
  std::vector<std::thread> workers;
  for (int w = 1; w < at::get_num_threads() && blocks > 1; ++w) workers.emplace_back(work);
  work();
  for (auto& worker : workers) worker.join();
  std::string text = std::string(c10::toString(packed.scalar_type())) + core::shape_text(packed.sizes());
  text.append(reinterpret_cast<const char*>(hashes.data()), hashes.size() * sizeof(uint64_t));
  return core::sha256_hex(text);
}

}  // namespace mvrm::influence
