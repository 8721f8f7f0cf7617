// SPDX-License-Identifier: Apache-2.0
// The safetensors file format: an 8-byte length, a JSON header, bytes. Own reader and writer (docs/decisions): validated
// like the reference implementation and a little stricter (spec/reliability.md 2.4), memory-mapped, never a crash.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mvrm/core/tensor.h>
#include <string>
#include <utility>
#include <vector>

namespace mvrm::core {

struct TensorInfo {
  std::string name;
  at::ScalarType dtype = at::kFloat;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;   // half-open byte range behind the header
};

// A memory-mapped file. Copies share the mapping; tensors keep it alive. Thread-safe after open.
class SafetensorsFile {
 public:
  // Throws Error (model) naming the file and the cause.
  static SafetensorsFile open(const std::filesystem::path& path);
  const std::vector<TensorInfo>& tensors() const;                     // in the order of their offsets
  const std::map<std::string, std::string>& metadata() const;
  const TensorInfo* find(const std::string& name) const;              // nullptr when absent
  // Read-only view of the mapped bytes, no copy; clone() before writing. Throws Error (model) when absent.
  Tensor tensor(const std::string& name) const;
  // Lets the kernel take back the memory of the bytes [begin, end) of a tensor; reading them again costs another look at the disk.
  void release(const std::string& name, uint64_t begin, uint64_t end) const;

 private:
  struct Mapping;
  std::shared_ptr<const Mapping> mapping_;
};

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
// Writes atomically; tensors are laid out by descending element size, then name, as the reference writer does. Same input, same bytes.
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace mvrm::core
